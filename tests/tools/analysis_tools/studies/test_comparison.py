import numpy as np
import pytest
from scipy import stats

from studies.comparison import paired_difference


def test_interval_is_that_of_a_paired_t_test():
    rng = np.random.default_rng(0)
    ours = dict(enumerate(rng.normal(91, 1, 6)))
    theirs = dict(enumerate(rng.normal(90, 1, 6)))
    mean, half, seeds = paired_difference(ours, theirs)
    test = stats.ttest_rel(list(ours.values()), list(theirs.values()))
    low, high = test.confidence_interval(0.95)
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert seeds == 6


def test_compares_shared_seeds_alone():
    mean, half, seeds = paired_difference({0: 1.0, 1: 5.0}, {1: 3.0, 2: 9.0})
    assert (mean, half, seeds) == (2.0, float('inf'), 1)
    with pytest.raises(ValueError, match='no seed in common'):
        paired_difference({0: 1.0}, {1: 1.0})
