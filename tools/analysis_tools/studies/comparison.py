"""Compares two configs, seed by seed."""

import math
import statistics
from collections.abc import Sequence

import numpy as np
from scipy import stats

# How often a bootstrap draws the seeds.
_DRAWS = 10_000


def differences(ours: dict[int, float], theirs: dict[int, float]) -> list[float]:
    """Give ours - theirs of each seed that both have, in the order of the seeds."""
    return [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]


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
    found = differences(ours, theirs)
    if not found:
        raise ValueError('the two configs have no seed in common')
    mean, seeds = statistics.mean(found), len(found)
    if seeds == 1:
        return mean, float('inf'), 1
    return mean, stats.t.ppf(0.975, seeds - 1) * stats.sem(found), seeds


def bootstrap_interval(
    ours: dict[int, float], theirs: dict[int, float]
) -> tuple[float, float]:
    """Give the 95% interval of the mean difference by the bootstrap over the seeds.

    Of few seeds it is too narrow: of ten normal differences about 0.82 times
    Student's, sqrt(9 / 10) * 1.96 / 2.26.

    Args:
        ours (dict[int, float]): Numbers by seed.
        theirs (dict[int, float]): Numbers by seed.

    Returns:
        tuple[float, float]: The 2.5th and the 97.5th percentile; the same every time.
    """
    found = differences(ours, theirs)
    drawn = np.random.default_rng(0).choice(found, (_DRAWS, len(found)))
    low, high = np.percentile(drawn.mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def probability_of_better(
    ours: dict[int, float], theirs: dict[int, float]
) -> tuple[float, float, float]:
    """Estimate the probability that a run of one config beats a run of another.

    Args:
        ours (dict[int, float]): Numbers by seed.
        theirs (dict[int, float]): Numbers by seed.

    Returns:
        tuple[float, float, float]: The probability, over all pairs of runs of the shared
        seeds, not only those of one seed, a tie counting half; and its 95% interval by
        the bootstrap over the seeds.
    """
    shared = sorted(ours.keys() & theirs.keys())
    above = np.subtract.outer(*([of[seed] for seed in shared] for of in (ours, theirs)))
    beats = (np.sign(above) + 1) / 2
    # How often each seed is drawn, as a share of all.
    seeds = np.full(len(shared), 1 / len(shared))
    drawn = np.random.default_rng(0).multinomial(len(shared), seeds, _DRAWS) / len(shared)
    low, high = np.percentile(((drawn @ beats) * drawn).sum(axis=1), [2.5, 97.5])
    return float(beats.mean()), float(low), float(high)


def p_value(ours: dict[int, float], theirs: dict[int, float]) -> float:
    """Test whether the mean difference is 0, by Student's t of paired samples.

    Args:
        ours (dict[int, float]): Numbers by seed.
        theirs (dict[int, float]): Numbers by seed.

    Returns:
        float: The two-sided p-value of the shared seeds; nan of fewer than two, and 1
        where all differences are equal, of which the test knows no spread.
    """
    found = differences(ours, theirs)
    if len(found) < 2:
        return math.nan
    return float(stats.ttest_1samp(found, 0).pvalue) if np.ptp(found) > 1e-9 else 1.0


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
