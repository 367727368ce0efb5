"""The tables of a study, from its CSV file alone."""

import statistics
from collections.abc import Sequence

import markdown_table

from .comparison import paired_difference
from .results import branches, measures, values


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
        if config != configs[0]:
            compared = _difference(main, reference, with_seeds=True)
        lines.append([config, str(len(main)), *cells, compared])
    return markdown_table.table(header, *lines)


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
            cells.append(_difference(ours, theirs))
        lines.append([name, *cells])
    differences = [f'{config} - {first} (95% interval)' for config in others]
    return '\n' + markdown_table.table(
        ['mean over the training', *measured, *differences], *lines
    )


def _difference(
    ours: dict[int, float], theirs: dict[int, float], with_seeds: bool = False
) -> str:
    if not ours.keys() & theirs.keys():
        return '-'
    mean, half, seeds = paired_difference(ours, theirs)
    if seeds == 1:  # which gives no interval
        return f'{mean:+.2f} (1 seed)'
    return f'{mean:+.2f} ± {half:.2f}' + (f' ({seeds} seeds)' if with_seeds else '')


def _mean(by_seed: dict[int, float]) -> str:
    if not by_seed:
        return '-'
    numbers = list(by_seed.values())
    spread = f' ± {statistics.stdev(numbers):.2f}' if len(numbers) > 1 else ''
    return f'{statistics.mean(numbers):.2f}{spread}'
