"""What came out of a study: its CSV file."""

import csv
from collections.abc import Sequence
from pathlib import Path

from dhm_plugin.checkpoints.files import written_at_once

FIRST = ('config', 'seed', 'epochs', 'iterations', 'flops', 'seconds', 'main')
# The beginnings of the names of what Calibration measures, and of what corrects it.
CALIBRATION = ('nll_', 'ece_', 'temperature')
# The beginnings of the names of what ConsistencyHook measures.
MEASURES = ('cosine_', 'cka_')
LAST = ('device', 'dhm_plugin', 'mmpretrain', 'mmengine', 'torch', 'settings')


def read(path: Path) -> list[dict[str, str]]:
    """Read the CSV file of a study.

    Args:
        path (Path): The file; there may be none yet.

    Returns:
        list[dict[str, str]]: Its rows, column name to cell.
    """
    if not path.is_file():
        return []
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def by_run(rows: Sequence[dict[str, str]]) -> dict[tuple[str, int], dict[str, str]]:
    """Give the rows by name of the config, and seed.

    Args:
        rows (Sequence[dict[str, str]]): Of :func:`read`.

    Returns:
        dict[tuple[str, int], dict[str, str]]: In the order of the rows.
    """
    return {(row['config'], int(row['seed'])): row for row in rows}


def add(path: Path, row: dict) -> None:
    """Add a row; the file is written anew, whole or not at all.

    Args:
        path (Path): The CSV file.
        row (dict): Column name to value; new columns are empty in the other rows.
    """
    rows = [*read(path), {key: str(value) for key, value in row.items()}]
    rows.sort(key=lambda row: int(row['seed']))
    names = {name for row in rows for name in row} - {*FIRST, *LAST}
    kinds = (MEASURES, CALIBRATION)
    order = sorted(
        names,
        key=lambda name: ([name.startswith(kind) for kind in kinds], len(name), name),
    )
    first = [name for name in FIRST if any(name in row for row in rows)]
    last = [name for name in LAST if any(name in row for row in rows)]
    columns = [*first, *order, *last]
    with written_at_once(path) as temporary, temporary.open('w', newline='') as file:
        writer = csv.DictWriter(file, columns, restval='', lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)


def branches(rows: Sequence[dict[str, str]]) -> list[str]:
    """Name the columns with accuracies.

    Args:
        rows (Sequence[dict[str, str]]): Of :func:`read`.

    Returns:
        list[str]: The main branch, side branches, ensemble.
    """
    others = {*FIRST, *LAST, *measures(rows)} - {'main'}
    names = [name for name in rows[0] if name not in others]
    return [name for name in names if not name.startswith(CALIBRATION)]


def measures(rows: Sequence[dict[str, str]]) -> list[str]:
    """Name the columns with the consistency of the branches.

    Args:
        rows (Sequence[dict[str, str]]): Of :func:`read`.

    Returns:
        list[str]: Cosines and CKA; none if nothing was measured.
    """
    return [name for name in rows[0] if name.startswith(MEASURES)]


def values(
    rows: Sequence[dict[str, str]], config: str, column: str = 'main'
) -> dict[int, float]:
    """Give a config's numbers by seed.

    Args:
        rows (Sequence[dict[str, str]]): Of :func:`read`.
        config (str): Name of the config.
        column (str): A branch, for its accuracy in percent, or a measure. Defaults to
            ``'main'``.

    Returns:
        dict[int, float]: Seed to number; without those that have none.
    """
    return {
        int(row['seed']): float(row[column])
        for row in rows
        if row['config'] == config and row.get(column)
    }
