import math

import pytest

from studies import results
from studies.curve import on_curve
from studies.tables import cost_table

PLAIN = ['plain', 'longer']


@pytest.fixture
def rows(tmp_path, versions):
    path = tmp_path / 'results.csv'
    for config, flops, accuracies in (
        ('plain', 2e13, (80, 82, 84)),
        ('longer', 8e13, (84, 84, 85)),
        ('dhm', 4e13, (83, 82.5, 84)),
        ('as_long', 8.001e13, (84, 85)),
        ('cheap', 1e13, (80, 80, 80)),
    ):
        for seed, main in enumerate(accuracies):
            row = dict(config=config, seed=seed, iterations=1, flops=flops, seconds=1)
            results.add(path, {**row, 'main': main, **versions})
    return results.read(path)


def test_it_is_a_line_over_the_logarithm_of_the_cost(rows):
    # The cost lies in the middle of the two.
    assert math.log(4e13) == pytest.approx((math.log(2e13) + math.log(8e13)) / 2)
    assert on_curve(rows, 'dhm', PLAIN) == pytest.approx({0: 82, 1: 83, 2: 84.5})
    # The count of one iteration too many is at the curve's end, not past it.
    assert on_curve(rows, 'as_long', PLAIN) == pytest.approx({0: 84, 1: 84, 2: 85})


def test_it_has_nothing_past_its_ends(rows):
    assert on_curve(rows, 'cheap', PLAIN) == {}
    assert on_curve(rows, 'dhm', ['plain']) == {}
    assert on_curve(rows, 'dhm', ['plain', 'missing']) == {}
    assert on_curve(rows, 'missing', PLAIN) == {}


def test_a_seed_that_lacks_a_point_has_none(rows):
    del rows[[(r['config'], r['seed']) for r in rows].index(('longer', '1'))]
    assert on_curve(rows, 'dhm', PLAIN).keys() == {0, 2}


def test_the_table_has_the_paired_difference(rows):
    *_, dhm, as_long, cheap = cost_table(
        rows, ['plain', 'longer', 'dhm', 'as_long', 'cheap'], PLAIN
    ).splitlines()
    # Of 1, -0.5 and -0.5: the mean 0, and 4.303 * 0.866 / sqrt(3).
    assert dhm.endswith('| +0.00 ± 2.15 |')
    # Of 0 and 1: 12.706 * 0.707 / sqrt(2).
    assert as_long.endswith('| +0.50 ± 6.35 |')
    assert cheap.endswith('| - |')
