"""Reads what a training has left in its work folder."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

Curves = dict[str, list[tuple[int, float]]]


def read(work_dir: Path) -> Curves:
    """Read the logs of a work folder; a resumed training has several, and repeats some.

    Args:
        work_dir (Path): As of ``--work-dir``.

    Returns:
        dict[str, list[tuple[int, float]]]: Name of a scalar to its points. Those of the
        training are at an iteration, those of the validation at an epoch, or where
        epochs are not counted, at an iteration too; ``time``,
        ``data_time`` and ``time_mean`` are the training's.

    Raises:
        ValueError: If there is no log, or nothing in it, or it is damaged elsewhere than
            at its end, where a kill may have cut it.
    """
    points: dict[str, dict[int, float]] = defaultdict(dict)
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for row in _rows(path):
            unused = {'step', 'epoch', 'iter'}
            if 'loss' not in row:
                unused |= {'time', 'data_time', 'time_mean'}
            for key in row.keys() - unused:
                points[key][row['step']] = row[key]
    if not points:
        raise ValueError(f'{work_dir}: there is no log in */vis_data/scalars.json')
    return {key: sorted(values.items()) for key, values in points.items()}


def _rows(path: Path) -> Iterator[dict]:
    lines = path.read_bytes().split(b'\n')
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line) if line else {}
            if not isinstance(row, dict):
                raise ValueError('it is no dict')
        except ValueError as error:
            if number == len(lines):
                return
            raise ValueError(f'{path}, line {number}: is damaged: {error}') from error
        if row:
            yield row


def last_step(work_dir: Path) -> int:
    """Tell how far a training is, by its last checkpoint.

    Args:
        work_dir (Path): As of ``--work-dir``.

    Returns:
        int: Its epochs, or its iterations where it counts these; 0 where there is no
        checkpoint.
    """
    path = work_dir / 'last_checkpoint'
    # A power cut may leave it with anything.
    name = path.read_text(errors='replace') if path.is_file() else ''
    match = re.search(r'(?:epoch|iter)_(\d+)\.pth$', name)
    return int(match[1]) if match else 0
