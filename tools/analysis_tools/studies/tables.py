"""The tables of a study, from its CSV file alone."""

import math
import statistics
from collections.abc import Mapping, Sequence

import numpy as np

import markdown_table

from .comparison import (
    bootstrap_interval,
    holm,
    p_value,
    paired_difference,
    probability_of_better,
)
from .curve import on_curve
from .results import CALIBRATION, branches, measures, values
from .study import Study, tuning_name

# The rows of a study's CSV file, and the pairs of configs that are claimed to differ.
Claimed = tuple[Sequence[dict[str, str]], Sequence[tuple[str, str]]]


def report(
    rows: Sequence[dict[str, str]],
    configs: Sequence[str],
    claims: Sequence[tuple[str, str]] = (),
    lengths: Sequence[str] = (),
) -> str:
    """Lay out all tables of a study.

    Args:
        rows (Sequence[dict[str, str]]): Of the CSV file.
        configs (Sequence[str]): Names of the configs, in order; the first is what the
            others are compared with.
        claims (Sequence[tuple[str, str]]): As of ``Study``. Defaults to none.
        lengths (Sequence[str]): Configs that are the first one's network, in different
            lengths: the points of its curve. Defaults to none.

    Returns:
        str: The tables, each after an empty line, but those of which the rows have
        nothing.
    """
    return (
        table(rows, configs)
        + claims_table({'': (rows, claims)})
        + calibration_table(rows, configs)
        + cost_table(rows, configs, lengths)
        + consistency_table(rows, configs)
    )


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


def cost_table(
    rows: Sequence[dict[str, str]],
    configs: Sequence[str],
    lengths: Sequence[str] = (),
) -> str:
    """Lay out what trainings cost.

    Args:
        rows (Sequence[dict[str, str]]): Of the CSV file.
        configs (Sequence[str]): Names of the configs, in order.
        lengths (Sequence[str]): As of :func:`report`. Defaults to none.

    Returns:
        str: The table, after an empty line; of the seconds the median, which one
        training that was stopped for a while does not move; with two lengths or more,
        how far the main branch is above the curve at its FLOPs. Empty if the rows do not
        have it.
    """
    lines = []
    has_curve = len(lengths) > 1
    for config in configs:
        flops = values(rows, config, 'flops').values()
        if not flops:
            continue
        iterations, seconds = (
            values(rows, config, name).values() for name in ('iterations', 'seconds')
        )
        lines.append(
            [
                config,
                f'{statistics.mean(iterations):,.0f}',
                f'{statistics.mean(flops) / 1e12:.1f}',
                f'{statistics.median(seconds):.0f}',
            ]
        )
        if has_curve:
            there = {} if config in lengths else on_curve(rows, config, lengths)
            lines[-1].append(_difference(values(rows, config), there))
    header = ['config', 'iterations', 'TFLOPs', 'seconds (median)']
    if has_curve:
        header.append(f'main - the curve of {configs[0]} at these TFLOPs (95% interval)')
    return '\n' + markdown_table.table(header, *lines) if lines else ''


def calibration_table(rows: Sequence[dict[str, str]], configs: Sequence[str]) -> str:
    """Lay out how far the probabilities can be believed.

    Args:
        rows (Sequence[dict[str, str]]): Of the CSV file.
        configs (Sequence[str]): Names of the configs, in order; all main branches are
            compared with that of the first one.

    Returns:
        str: The table, after an empty line: calibration error in percent, negative
        log-likelihood in nats; mean ± standard deviation, then the differences with
        their 95% intervals. Empty if the rows do not have it.
    """
    names = sorted(name for name in rows[0] if name.startswith(CALIBRATION))
    of_main = [name for name in names if name.endswith('_main')]
    lines = []
    for config in configs:
        if not any(values(rows, config, name) for name in names):
            continue
        seeds = str(len(values(rows, config, of_main[0])))
        cells = [_mean(values(rows, config, name), _digits(name)) for name in names]
        for name in of_main:
            ours, theirs = (values(rows, each, name) for each in (config, configs[0]))
            compared = '-'
            if config != configs[0]:
                compared = _difference(ours, theirs, True, _digits(name))
            cells.append(compared)
        lines.append([config, seeds, *cells])
    differences = [f'{name} - that of {configs[0]} (95% interval)' for name in of_main]
    header = ['config', 'seeds', *names, *differences]
    return '\n' + markdown_table.table(header, *lines) if lines else ''


def _digits(name: str) -> int:
    """Likelihoods need a digit more than percents."""
    return 3 if name.startswith('nll_') else 2


def claims_table(studies: Mapping[str, Claimed]) -> str:
    """Lay out the claimed differences of the main branch's accuracy.

    Args:
        studies (Mapping[str, Claimed]): Name of each study, which stands before its
            claims unless it is empty, to its rows and its claims. Holm's correction is
            over all claims of all of them, and counts those whose runs are still to come.

    Returns:
        str: The table, after an empty line, of all claims of which two seeds are there;
        empty if there is none.
    """
    corrected = corrected_p_values(studies)
    lines = []
    for (name, claim), p in corrected.items():
        pair = [values(studies[name][0], config) for config in claim]
        if len(pair[0].keys() & pair[1].keys()) < 2:
            continue
        low, high = bootstrap_interval(*pair)
        better, least, most = probability_of_better(*pair)
        lines.append(
            [
                (f'{name}: ' if name else '') + ' - '.join(claim),
                _difference(*pair, with_seeds=True),
                f'{low:+.2f} to {high:+.2f}',
                f'{better:.2f} ({least:.2f} to {most:.2f})',
                '< 0.001' if p < 0.001 else f'{p:.3f}',
            ]
        )
    header = [
        'claimed difference',
        "mean (95% interval, Student's t)",
        '95% interval, bootstrap',
        'probability that a run is better (95% interval, bootstrap)',
        f"p, Holm's correction over {len(corrected)} claims",
    ]
    return '\n' + markdown_table.table(header, *lines) if lines else ''


def corrected_p_values(
    studies: Mapping[str, Claimed],
) -> dict[tuple[str, tuple[str, str]], float]:
    """Correct the p-values of all claims for their number.

    Args:
        studies (Mapping[str, Claimed]): As of :func:`claims_table`.

    Returns:
        dict[tuple[str, tuple[str, str]], float]: Name of the study and claim to the
        p-value; 1 where two seeds are not there yet.
    """
    found = {
        (name, tuple(claim)): p_value(*(values(rows, config) for config in claim))
        for name, (rows, claims) in studies.items()
        for claim in claims
    }
    return dict(zip(found, holm([1.0 if math.isnan(p) else p for p in found.values()])))


def settings_table(studies: Mapping[str, tuple[Study, Sequence[dict[str, str]]]]) -> str:
    """Lay out what several studies say, a line a setting.

    Args:
        studies (Mapping[str, tuple[Study, Sequence[dict[str, str]]]]): Name to study and
            rows of its final runs.

    Returns:
        str: The table; the first method's accuracy in percent, mean ± standard deviation,
        what it gains where it is trained as long as another one costs, and the claims:
        differences with their 95% intervals, bold where p < 0.05 after Holm's correction
        over all claims. A line for each study that has rows.
    """
    p_values = corrected_p_values(
        {name: (rows, study.claims) for name, (study, rows) in studies.items()}
    )
    trained = {name: each for name, each in studies.items() if each[1]}
    columns, firsts = {}, {}
    for name, (study, _) in trained.items():
        firsts[name] = next(iter(study.configs))
        lengths = study.lengths_of_first
        longer = [(o, firsts[name]) for o in study.costs if o in lengths]
        columns |= dict.fromkeys([*longer, *study.claims])
    lines = []
    for name, (study, rows) in trained.items():
        cells = []
        for pair in columns:
            cell = _difference(*(values(rows, config) for config in pair))
            told = p_values.get((name, pair), 1.0) < 0.05
            cells.append(f'**{cell}**' if told else cell)
        length = f'{study.iterations:,}'
        lines.append([study.title, length, _mean(values(rows, firsts[name])), *cells])
    main = ' or '.join(dict.fromkeys(firsts.values()))
    differences = [' - '.join(pair) for pair in columns]
    return markdown_table.table(['setting', 'iterations', main, *differences], *lines)


def _difference(
    ours: dict[int, float],
    theirs: dict[int, float],
    with_seeds: bool = False,
    digits: int = 2,
) -> str:
    if not ours.keys() & theirs.keys():
        return '-'
    mean, half, seeds = paired_difference(ours, theirs)
    if seeds == 1:  # which gives no interval
        return f'{mean:+.{digits}f} (1 seed)'
    return f'{mean:+.{digits}f} ± {half:.{digits}f}' + (
        f' ({seeds} seeds)' if with_seeds else ''
    )


def _mean(by_seed: dict[int, float], digits: int = 2) -> str:
    if not by_seed:
        return '-'
    numbers = list(by_seed.values())
    mean = f'{statistics.mean(numbers):.{digits}f}'
    if len(numbers) == 1:
        return mean
    return f'{mean} ± {np.std(numbers, ddof=1):.{digits}f}'


def tuning_table(study: Study, rows: Sequence[dict[str, str]]) -> str:
    """Lay out what each method reaches with each point of the grid.

    Args:
        study (Study): The study.
        rows (Sequence[dict[str, str]]): Of its tuning.

    Returns:
        str: The table; the mean accuracy of the main branch over the seeds, in percent,
        the chosen one bold. ``nan`` where a training diverged.

    Raises:
        ValueError: If a row is missing.
    """
    points, chosen = study.points, study.choose(rows)
    lines = []
    for method, means in study.means(rows).items():
        cells = [f'{mean:.2f}' for mean in means]
        place = points.index(chosen[method])
        cells[place] = f'**{cells[place]}**'
        lines.append([method, *cells])
    header = [tuning_name('', point).removeprefix('_') for point in points]
    return markdown_table.table(['tuning', *header], *lines)
