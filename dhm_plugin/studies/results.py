"""What came out of a study: its CSV file, and a table from it alone."""

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path

from scipy import stats

from .. import markdown
from ..checkpoints.files import written_at_once

FIRST = ('config', 'seed', 'epochs', 'seconds', 'main')
# The beginnings of the names of what ConsistencyHook measures.
MEASURES = ('cosine_', 'cka_')
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
    order = sorted(names, key=lambda name: (name.startswith(MEASURES), len(name), name))
    columns = [*FIRST, *order, *LAST]
    with written_at_once(path) as temporary, temporary.open('w', newline='') as file:
        writer = csv.DictWriter(file, columns, restval='', lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)


def branches(rows: Sequence[dict[str, str]]) -> list[str]:
    """Name the columns with accuracies: the main branch, side branches, ensemble."""
    others = {*FIRST, *LAST, *measures(rows)}
    return [name for name in rows[0] if name == 'main' or name not in others]


def measures(rows: Sequence[dict[str, str]]) -> list[str]:
    """Name the columns with the consistency of the branches."""
    return [name for name in rows[0] if name.startswith(MEASURES)]


def values(
    rows: Sequence[dict[str, str]], config: str, column: str = 'main'
) -> dict[int, float]:
    """Give a config's numbers by seed: a branch's accuracy in percent, or a measure."""
    return {
        int(row['seed']): float(row[column])
        for row in rows
        if row['config'] == config and row.get(column)
    }


def paired_difference(
    ours: dict[int, float], theirs: dict[int, float]
) -> tuple[float, float, int]:
    """Compare two configs on the seeds that both have.

    Args:
        ours (dict[int, float]): Numbers by seed.
        theirs (dict[int, float]): Numbers by seed.

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
    reference = values(rows, configs[0])
    header = ['config', 'seeds', *names, f'main - that of {configs[0]} (95% interval)']
    lines = []
    for config in configs:
        main = values(rows, config)
        if not main:
            continue
        cells = [_mean(values(rows, config, name)) for name in names]
        compared = '-'
        if config != configs[0] and main.keys() & reference.keys():
            mean, half, seeds = paired_difference(main, reference)
            compared = f'{mean:+.2f} ± {half:.2f} ({seeds} seeds)'
        lines.append([config, str(len(main)), *cells, compared])
    return markdown.table(header, *lines)


def consistency_table(rows: Sequence[dict[str, str]], configs: Sequence[str]) -> str:
    """Lay out how consistent the branches were, on the average of the training.

    Args:
        rows (Sequence[dict[str, str]]): Of the CSV file.
        configs (Sequence[str]): Names of the configs, in order; all are compared with
            the first one that was measured.

    Returns:
        str: The table, after an empty line; mean ± standard deviation, then the
        differences from the first one with their 95% intervals. Empty if nothing was
        measured.
    """
    names = measures(rows)
    measured = [name for name in configs if any(values(rows, name, m) for m in names)]
    if not measured:
        return ''
    first, *others = measured
    lines = []
    for name in names:
        cells = [_mean(values(rows, config, name)) for config in measured]
        for config in others:
            ours, theirs = (values(rows, each, name) for each in (config, first))
            if not ours.keys() & theirs.keys():
                cells.append('-')
                continue
            mean, half, _ = paired_difference(ours, theirs)
            cells.append(f'{mean:+.2f} ± {half:.2f}')
        lines.append([name, *cells])
    differences = [f'{config} - {first} (95% interval)' for config in others]
    return '\n' + markdown.table(
        ['mean over the training', *measured, *differences], *lines
    )


def _mean(by_seed: dict[int, float]) -> str:
    if not by_seed:
        return '-'
    numbers = list(by_seed.values())
    spread = f' ± {statistics.stdev(numbers):.2f}' if len(numbers) > 1 else ''
    return f'{statistics.mean(numbers):.2f}{spread}'
