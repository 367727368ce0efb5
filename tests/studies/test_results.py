import csv

import numpy as np
import pytest
from scipy import stats

from dhm_plugin.studies import results
from dhm_plugin.studies.plot import plot

VERSIONS = dict(device='CPU', dhm_plugin='1', mmpretrain='1', mmengine='0', torch='2')


@pytest.fixture
def rows(tmp_path):
    """Two configs of three seeds; one seed of the second is missing."""
    path = tmp_path / 'results.csv'
    for config, seed, main in (
        ('plain', 0, 90.0),
        ('plain', 1, 91.0),
        ('dhm', 1, 91.5),
        ('dhm', 0, 92.0),
        ('plain', 2, 95.0),
    ):
        row = dict(config=config, seed=seed, epochs=1, seconds=2.0, main=main)
        if config == 'dhm':
            row.update(side0=80.0 + seed, ensemble=93.0)
        results.add(path, {**row, **VERSIONS})
    return results.read(path)


def test_csv_keeps_every_row(rows, tmp_path):
    with (tmp_path / 'results.csv').open() as file:
        header = next(csv.reader(file))
    assert header[:7] == [*results.FIRST, 'side0', 'ensemble']
    assert [(row['seed'], row['config']) for row in rows] == [
        ('0', 'plain'),
        ('0', 'dhm'),
        ('1', 'plain'),
        ('1', 'dhm'),
        ('2', 'plain'),
    ]
    assert results.values(rows, 'plain') == {0: 90.0, 1: 91.0, 2: 95.0}
    assert results.values(rows, 'plain', 'side0') == {}
    assert results.values(rows, 'dhm', 'side0') == {0: 80.0, 1: 81.0}


def test_interval_is_that_of_a_paired_t_test():
    rng = np.random.default_rng(0)
    ours = dict(enumerate(rng.normal(91, 1, 6)))
    theirs = dict(enumerate(rng.normal(90, 1, 6)))
    mean, half, seeds = results.paired_difference(ours, theirs)
    test = stats.ttest_rel(list(ours.values()), list(theirs.values()))
    low, high = test.confidence_interval(0.95)
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert seeds == 6


def test_compares_shared_seeds_alone():
    mean, half, seeds = results.paired_difference({0: 1.0, 1: 5.0}, {1: 3.0, 2: 9.0})
    assert (mean, half, seeds) == (2.0, float('inf'), 1)
    with pytest.raises(ValueError, match='no seed in common'):
        results.paired_difference({0: 1.0}, {1: 1.0})


def test_table(rows):
    lines = results.table(rows, ['plain', 'dhm', 'not trained']).splitlines()
    assert lines[0].startswith('| config | seeds | main | side0 | ensemble | main - that')
    assert lines[2] == '| plain | 3 | 92.00 ± 2.65 | - | - | - |'
    assert lines[3] == (
        '| dhm | 2 | 91.75 ± 0.35 | 80.50 ± 0.71 | 93.00 ± 0.00 | '
        '+1.25 ± 9.53 (2 seeds) |'
    )
    assert len(lines) == 4


def test_consistency_table(tmp_path):
    path = tmp_path / 'results.csv'
    for config, cosines in (('plain', ()), ('dsl', (0.1, 0.3)), ('dhm', (0.4, 0.4))):
        for seed in (0, 1):
            row = dict(config=config, seed=seed, epochs=1, seconds=2.0, main=90.0)
            for cosine in cosines[seed : seed + 1]:
                row.update(side0=80.0, cosine_stage0_side0_main=cosine)
            results.add(path, {**row, **VERSIONS})
    rows = results.read(path)
    assert results.branches(rows) == ['main', 'side0']
    configs = ['plain', 'dsl', 'dhm']
    assert results.consistency_table(rows, configs).splitlines() == [
        '',
        '| mean over the training | dsl | dhm | dhm - dsl (95% interval) |',
        '| --- | --- | --- | --- |',
        '| cosine_stage0_side0_main | 0.20 ± 0.14 | 0.40 ± 0.00 | +0.20 ± 1.27 |',
    ]
    assert results.consistency_table(rows, ['plain']) == ''


@pytest.mark.parametrize('name', ['plot.png', 'plot.svg'])
def test_plot(rows, name, tmp_path):
    plot(rows, ['plain', 'dhm', 'not trained'], tmp_path / name)
    assert (tmp_path / name).stat().st_size > 5000
