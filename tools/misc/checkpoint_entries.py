"""What is in a checkpoint of a training, entry by entry."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

import dhm_plugin  # noqa: F401 (lets torch read logs without running code)
from studies.log import read

# What the clock, the load of the machine or the place of the folder decides.
_LEFT_OUT = {'time', 'data_time', 'eta', 'cfg', 'experiment_name'}
# Of the log: what the machine decides.
_NOT_COMPARED = ('time', 'data_time', 'time_mean', 'memory')


def entries(path: Path) -> dict[str, object]:
    """Read a checkpoint, but for what differs between any two trainings.

    Args:
        path (Path): The file.

    Returns:
        dict[str, object]: The place of each entry, such as ``optimizer/state/0``, to what
        is equal if and only if every bit is. Left out are times, the text of the config,
        and the folders of files.
    """
    content = torch.load(path, map_location='cpu', weights_only=True)
    return dict(_entries(content, ()))


def differing(path: Path, other: Path) -> list[str]:
    """Compare two checkpoints.

    Args:
        path (Path): One of them.
        other (Path): The other one.

    Returns:
        list[str]: The places of the entries that differ; ``['the file']`` if one of the
        two is missing.
    """
    if not (path.is_file() and other.is_file()):
        return ['the file']
    ours, theirs = entries(path), entries(other)
    places = [*ours, *(theirs.keys() - ours.keys())]
    return [place for place in places if ours.get(place) != theirs.get(place)]


def differing_folders(folder: Path, other: Path) -> Iterator[str]:
    """Compare the checkpoints of two work folders, and what is logged in them.

    Args:
        folder (Path): One of them.
        other (Path): The other one.

    Yields:
        str: A checkpoint, and entries of it that differ; or a scalar of the log.
    """
    both = folder, other
    for name in sorted({path.name for of in both for path in of.glob('*.pth')}):
        if places := differing(folder / name, other / name):
            yield f'{folder / name}: {", ".join(places[:3])}'
    ours, theirs = map(read, both)
    for key in sorted({*ours, *theirs} - {*_NOT_COMPARED}):
        if ours.get(key) != theirs.get(key):
            yield f'{folder}: the log of {key}'


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
