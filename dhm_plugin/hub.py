"""The models of the zoo by name, for MMPretrain's ``list_models`` and ``get_model``."""

import os
from collections.abc import Iterator

from mmengine.runner import CheckpointLoader
from modelindex.load_model_index import load
from modelindex.models.Model import Model

from .checkpoints import read_state_dict
from .root import find_root

NO_WEIGHTS = 'no-weights://'


def zoo_models() -> Iterator[Model]:
    """Read our model index.

    Yields:
        Model: With the absolute paths of its config and of its weights. Where there are
        no weights, it has an address that :func:`load_from_nowhere` answers.
    """
    root = find_root()
    index = root / 'model-index.yml'
    if not index.is_file():
        return
    for model in load(str(index)).models:
        model.config = str(root / model.config)
        if model.weights:
            model.weights = str(root / model.weights)
        else:
            model.weights = f'{NO_WEIGHTS}{model.name}'
        yield model


# MMEngine matches it as a regular expression, after those of addresses.
@CheckpointLoader.register_scheme(prefixes=r'.+\.safetensors$', force=True)
def load_from_safetensors(path: str, map_location: object = None) -> dict[str, dict]:
    """Read a file in the format of safetensors, which MMEngine does not know.

    Args:
        path (str): The file.
        map_location (object, optional): Not used: the weights are on the CPU. Defaults to
            None.

    Returns:
        dict[str, dict]: The weights under ``state_dict``, and ``meta`` if the file says
        something, as those that this package writes do.

    Raises:
        CheckpointError: As :func:`read_state_dict` does.
    """
    weights, others = read_state_dict(os.path.expanduser(path))
    return {**others, 'state_dict': weights}


# MMPretrain's ``get_model(NAME, pretrained=True)`` goes on with random weights, if the
# index has none.
@CheckpointLoader.register_scheme(prefixes=NO_WEIGHTS, force=True)
def load_from_nowhere(address: str, map_location: object = None) -> None:
    """Say that a model of the zoo comes without weights.

    Args:
        address (str): Which one, as :func:`zoo_models` gives it.
        map_location (object, optional): Not used. Defaults to None.

    Raises:
        ValueError: Always; it says what to do.
    """
    name = address.removeprefix(NO_WEIGHTS)
    raise ValueError(
        f'{name} comes without pretrained weights: give pretrained=PATH, a checkpoint of '
        'it, or pretrained=False for random weights'
    )
