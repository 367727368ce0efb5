"""The plain network, DSL and DHM of a config."""

from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmpretrain.registry import MODELS
from torch import nn

from dhm_plugin.checkpoints.export.config import load_config

METHODS = ('plain', 'dsl', 'dhm')


def configs_of(path: str | Path) -> dict[str, Config]:
    """Find the plain, the DSL and the DHM config of the same recipe.

    Args:
        path (str | Path): A config of ``configs/dhm``.

    Returns:
        dict[str, Config]: By ``'plain'``, ``'dsl'`` and ``'dhm'``.

    Raises:
        ValueError: If it is no DHM config, or one of the other two is missing.
    """
    path = Path(path)
    configs = {}
    for method in METHODS:
        name = path.name.replace('_dhm', '' if method == 'plain' else f'_{method}')
        twin = path.parents[1] / method / name
        if '_dhm' not in path.name or not twin.is_file():
            raise ValueError(
                f'{path}: compared are a DHM config, such as configs/dhm/'
                'resnet18_dhm_8xb32_in1k.py, and those of the same recipe in '
                f'configs/dsl and configs/plain; {twin} is missing'
            )
        configs[method] = load_config(twin)
    return configs


def build(model: ConfigDict) -> nn.Module:
    """Build a network with its initial weights."""
    network = MODELS.build(model)
    network.init_weights()
    return network
