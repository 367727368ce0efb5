"""What trainings were made with, and how two of them differ."""

import json
from collections.abc import Iterator

from mmengine import Config

# What neither the training nor its validation reads; and the seed, which rows have.
_NO_SETTINGS = (
    'default_scope',
    'load_from',
    'log_level',
    'log_processor',
    'randomness',
    'resume',
    'test_cfg',
    'test_dataloader',
    'test_evaluator',
    'test_pipeline',
    'visualizer',
)
_SHOWN = 8


def settings_of(cfg: Config) -> dict:
    """Give what a training is made with, whatever its seed.

    Args:
        cfg (Config): Its whole config.

    Returns:
        dict: Plain data, as JSON holds it. The log's interval is left out.
    """
    settings = json.loads(json.dumps(cfg.to_dict(), default=str))
    settings.get('default_hooks', {}).pop('logger', None)
    return {key: value for key, value in settings.items() if key not in _NO_SETTINGS}


def differences(found: dict, asked: dict) -> str:
    """Name the settings that differ.

    Args:
        found (dict): Settings of what is there.
        asked (dict): Settings that are asked for.

    Returns:
        str: A line for each, with its name as of ``--cfg-options`` and both values;
        empty if there is none.

    Examples:
        >>> print(differences({'optim': {'lr': 0.1}}, {'optim': {'lr': 0.2}, 'seed': 1}))
          optim.lr: it has 0.1, asked is 0.2
          seed: it has nothing, asked is 1
    """
    there, here = dict(_flat(found)), dict(_flat(asked))
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    lines = [
        f'  {name}: it has {there.get(name, "nothing")}, asked is '
        f'{here.get(name, "nothing")}'
        for name in names[:_SHOWN]
    ]
    if len(names) > _SHOWN:
        lines.append(f'  and {len(names) - _SHOWN} more')
    return '\n'.join(lines)


def _flat(value: object, name: str = '') -> Iterator[tuple[str, str]]:
    """Give the name of every single setting, and its value as text."""
    # A list of plain values is one setting.
    nested = isinstance(value, (list, tuple)) and any(
        isinstance(part, (dict, list, tuple)) for part in value
    )
    if nested or (isinstance(value, dict) and value):
        for key, part in enumerate(value) if nested else value.items():
            yield from _flat(part, f'{name}.{key}' if name else str(key))
    else:
        yield name, repr(list(value) if isinstance(value, tuple) else value)
