"""What is in a checkpoint of a training, entry by entry."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

import dhm_plugin  # noqa: F401 (lets torch read logs without running code)

# What the clock, the load of the machine or the place of the folder decides.
_LEFT_OUT = {'time', 'data_time', 'eta', 'cfg', 'experiment_name'}


def entries(path: str | Path) -> dict[str, object]:
    """Read a checkpoint, but for what differs between any two trainings.

    Args:
        path (str | Path): The file.

    Returns:
        dict[str, object]: The place of each entry, such as ``optimizer/state/0``, to what
        is equal if and only if every bit is. Left out are times, the text of the config,
        and the folders of files.
    """
    content = torch.load(path, map_location='cpu', weights_only=True)
    return dict(_entries(content, ()))


def differing(folder: Path, other: Path) -> dict[str, list[str]]:
    """Compare the checkpoints of two trainings.

    Args:
        folder (Path): The work folder of one of them.
        other (Path): That of the other one.

    Returns:
        dict[str, list[str]]: The name of each file that either has to the places of the
        entries that differ; ``['the file']`` where one has no such file.
    """
    files = [{path.name: path for path in of.glob('*.pth')} for of in (folder, other)]
    return {
        name: _differing(*(of.get(name) for of in files))
        for name in sorted({*files[0], *files[1]})
    }


def _differing(path: Path | None, other: Path | None) -> list[str]:
    if path is None or other is None:
        return ['the file']
    ours, theirs = entries(path), entries(other)
    places = [*ours, *(theirs.keys() - ours.keys())]
    return [place for place in places if ours.get(place) != theirs.get(place)]


def _entries(value: object, place: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    if place[:1] in (('meta',), ('message_hub',)):
        name = place[-1]
        if name.rpartition('/')[2] in _LEFT_OUT:
            return
        if isinstance(value, str) and name.startswith(('last_ckpt', 'best_ckpt')):
            value = os.path.basename(value)
    if isinstance(value, HistoryBuffer):
        value = value.data
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _entries(item, (*place, str(key)))
        value = len(value)
    yield '/'.join(place), _bits(value)


def _bits(value: object) -> tuple:
    if isinstance(value, torch.Tensor):
        array = value.detach().reshape(-1).view(torch.uint8).numpy()
        return value.dtype, value.shape, array.tobytes()
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype, value.shape, value.tobytes()
    return type(value), repr(value)
