"""What came out of a study: its CSV file, and a table from it alone."""

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path

from scipy import stats

from ..checkpoints.files import written_at_once

FIRST = ('config', 'seed', 'epochs', 'seconds', 'main')
LAST = ('device', 'dhm_plugin', 'mmpretrain', 'mmengine', 'torch')


def read(path: Path) -> list[dict[str, str]]:
    """Read the CSV file of a study; there may be none yet."""
    if not path.is_file():
        return []
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def add(path: Path, row: dict) -> None:
    """Add a row; the file is written anew, whole or not at all.

    Args:
        path (Path): The CSV file.
        row (dict): Column name to value; new columns are empty in the other rows.
    """
    rows = [*read(path), {key: str(value) for key, value in row.items()}]
    rows.sort(key=lambda row: int(row['seed']))
    names = {name for row in rows for name in row} - {*FIRST, *LAST}
    columns = [*FIRST, *sorted(names - {'ensemble'}), *(names & {'ensemble'}), *LAST]
    with written_at_once(path) as temporary, temporary.open('w', newline='') as file:
        writer = csv.DictWriter(file, columns, restval='', lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)


def branches(rows: Sequence[dict[str, str]]) -> list[str]:
    """Name the columns with accuracies: the main branch, side branches, ensemble."""
    return [name for name in rows[0] if name == 'main' or name not in {*FIRST, *LAST}]


def accuracies(
    rows: Sequence[dict[str, str]], config: str, branch: str = 'main'
) -> dict[int, float]:
    """Give the accuracies of a config's branch, in percent, by seed."""
    return {
        int(row['seed']): float(row[branch])
        for row in rows
        if row['config'] == config and row.get(branch)
    }


def paired_difference(
    ours: dict[int, float], theirs: dict[int, float]
) -> tuple[float, float, int]:
    """Compare two configs on the seeds that both have.

    Args:
        ours (dict[int, float]): Accuracies by seed.
        theirs (dict[int, float]): Accuracies by seed.

    Returns:
        tuple[float, float, int]: Mean difference; half the width of its 95% confidence
        interval, by Student's t of paired samples, infinite for one seed; number of
        seeds.

    Raises:
        ValueError: If they share no seed.
    """
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        raise ValueError('the two configs have no seed in common')
    differences = [ours[seed] - theirs[seed] for seed in shared]
    mean = statistics.mean(differences)
    if len(differences) < 2:
        return mean, float('inf'), 1
    error = statistics.stdev(differences) / len(differences) ** 0.5
    return mean, stats.t.ppf(0.975, len(differences) - 1) * error, len(differences)


def table(rows: Sequence[dict[str, str]], configs: Sequence[str]) -> str:
    """Lay a study out as a Markdown table.

    Args:
        rows (Sequence[dict[str, str]]): Of the CSV file.
        configs (Sequence[str]): Names of the configs, in order; all are compared with
            the first one.

    Returns:
        str: The table; accuracies in percent, mean ± standard deviation.
    """
    names = branches(rows)
    reference = accuracies(rows, configs[0])
    lines = [
        ['config', 'seeds', *names, f'main - that of {configs[0]} (95% interval)'],
    ]
    lines.append(['---'] * len(lines[0]))
    for config in configs:
        main = accuracies(rows, config)
        if not main:
            continue
        cells = [_mean(accuracies(rows, config, name)) for name in names]
        compared = '-'
        if config != configs[0] and main.keys() & reference.keys():
            mean, half, seeds = paired_difference(main, reference)
            compared = f'{mean:+.2f} ± {half:.2f} ({seeds} seeds)'
        lines.append([config, str(len(main)), *cells, compared])
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def _mean(values: dict[int, float]) -> str:
    if not values:
        return '-'
    numbers = list(values.values())
    spread = f' ± {statistics.stdev(numbers):.2f}' if len(numbers) > 1 else ''
    return f'{statistics.mean(numbers):.2f}{spread}'
