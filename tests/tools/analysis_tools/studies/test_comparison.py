import numpy as np
import pytest
from scipy import stats

from studies.comparison import (
    bootstrap_interval,
    differences,
    holm,
    p_value,
    paired_difference,
    probability_of_better,
)


def test_interval_is_that_of_a_paired_t_test():
    rng = np.random.default_rng(0)
    ours = dict(enumerate(rng.normal(91, 1, 6)))
    theirs = dict(enumerate(rng.normal(90, 1, 6)))
    mean, half, seeds = paired_difference(ours, theirs)
    test = stats.ttest_rel(list(ours.values()), list(theirs.values()))
    low, high = test.confidence_interval(0.95)
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert seeds == 6


def test_differences_are_in_the_order_of_the_seeds():
    """The bootstrap draws by their places."""
    assert differences({1: 1.0, 8: 2.0}, {8: 0.0, 1: 0.0}) == [1.0, 2.0]


def test_compares_shared_seeds_alone():
    mean, half, seeds = paired_difference({0: 1.0, 1: 5.0}, {1: 3.0, 2: 9.0})
    assert (mean, half, seeds) == (2.0, float('inf'), 1)
    with pytest.raises(ValueError, match='no seed in common'):
        paired_difference({0: 1.0}, {1: 1.0})


def test_bootstrap_is_near_the_normal_interval_and_the_same_each_time():
    rng = np.random.default_rng(0)
    ours = dict(enumerate(rng.normal(1, 2, 400)))
    theirs = dict.fromkeys(ours, 0.0) | {999: 1e6}
    low, high = bootstrap_interval(ours, theirs)
    mean = np.mean([*ours.values()])
    half = 1.96 * np.std([*ours.values()]) / 20
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=0.02)
    assert (low, high) == bootstrap_interval(ours, theirs)
    assert bootstrap_interval({0: 3.0, 1: 4.0}, {0: 1.0, 1: 2.0}) == (2.0, 2.0)


def test_probability_counts_all_pairs_of_the_shared_seeds():
    ours, theirs = {0: 1.0, 1: 2.0, 7: 9.0}, {0: 1.0, 1: 0.0, 5: 9.0}
    assert probability_of_better(ours, theirs)[0] == 3.5 / 4
    assert probability_of_better({0: 1.0}, {0: 2.0, 1: 2.0}) == (0.0, 0.0, 0.0)


def test_the_probabilitys_interval_is_that_of_scipys_bootstrap():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0.5, 1, 30), rng.normal(0, 1, 30)
    found = probability_of_better(dict(enumerate(ours)), dict(enumerate(theirs)))

    def mann_whitney(a, b):
        return stats.mannwhitneyu(a, b).statistic / len(a) ** 2

    interval = stats.bootstrap(
        (ours, theirs),
        mann_whitney,
        paired=True,
        vectorized=False,
        method='percentile',
        n_resamples=2000,
        rng=0,
    ).confidence_interval
    assert found[0] == pytest.approx(mann_whitney(ours, theirs))
    assert found[1:] == pytest.approx(interval, abs=0.02)


def test_p_values_are_of_paired_samples_and_corrected():
    ours, theirs = {0: 1.0, 1: 2.0, 2: 4.0, 9: 5.0}, {0: 0.5, 1: 1.0, 2: 1.5, 8: 7.0}
    expected = stats.ttest_rel([1.0, 2.0, 4.0], [0.5, 1.0, 1.5]).pvalue
    assert p_value(ours, theirs) == pytest.approx(expected)
    assert p_value(ours, ours) == 1.0
    # Differences of 0.1, which floats round differently.
    assert p_value({0: 90.12, 1: 90.22}, {0: 90.02, 1: 90.12}) == 1.0
    assert np.isnan(p_value({0: 1.0}, {0: 2.0}))
    # As R's p.adjust(c(0.01, 0.02, 0.03, 0.005), method = 'holm').
    assert holm([0.01, 0.02, 0.03, 0.005]) == pytest.approx([0.03, 0.04, 0.04, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
