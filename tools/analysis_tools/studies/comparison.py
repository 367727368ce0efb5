"""Compares two configs, seed by seed."""

import itertools
import math
import statistics
from collections.abc import Sequence

import numpy as np
from scipy import stats


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


def bootstrap_interval(
    ours: dict[int, float], theirs: dict[int, float], draws: int = 10_000
) -> tuple[float, float]:
    """Give the 95% interval of the mean difference by the bootstrap over the seeds.

    Args:
        ours (dict[int, float]): Numbers by seed.
        theirs (dict[int, float]): Numbers by seed.
        draws (int): How often the seeds are drawn. Defaults to 10,000.

    Returns:
        tuple[float, float]: The 2.5th and the 97.5th percentile; the same every time.
    """
    shared = sorted(ours.keys() & theirs.keys())
    differences = np.array([ours[seed] - theirs[seed] for seed in shared])
    drawn = np.random.default_rng(0).choice(differences, (draws, len(shared)))
    low, high = np.percentile(drawn.mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def probability_of_better(ours: dict[int, float], theirs: dict[int, float]) -> float:
    """Estimate the probability that a run of one config beats a run of another.

    Args:
        ours (dict[int, float]): Numbers by seed.
        theirs (dict[int, float]): Numbers by seed.

    Returns:
        float: Over all pairs of runs, not only those of one seed; a tie counts half.
    """
    pairs = list(itertools.product(ours.values(), theirs.values()))
    return sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs)


def p_value(ours: dict[int, float], theirs: dict[int, float]) -> float:
    """Test whether the mean difference is 0, by Student's t of paired samples.

    Args:
        ours (dict[int, float]): Numbers by seed.
        theirs (dict[int, float]): Numbers by seed.

    Returns:
        float: The two-sided p-value of the shared seeds; 1 where all differences are 0,
        nan for one seed.
    """
    shared = sorted(ours.keys() & theirs.keys())
    if len(shared) < 2:
        return math.nan
    if all(ours[seed] == theirs[seed] for seed in shared):
        return 1.0
    numbers = ([of[seed] for seed in shared] for of in (ours, theirs))
    return float(stats.ttest_rel(*numbers).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, by Holm's method.

    Source: Holm, *A Simple Sequentially Rejective Multiple Test Procedure*, Scandinavian
    Journal of Statistics, 1979.

    Args:
        p_values (Sequence[float]): Of all claims.

    Returns:
        list[float]: In the same order; at most 1.

    Examples:
        >>> holm([0.01, 0.5, 0.03])
        [0.03, 0.5, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, (len(p_values) - rank) * p_values[index])
        corrected[index] = min(1.0, largest)
    return corrected
