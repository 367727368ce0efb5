"""The published studies: every table is computed from the CSV file beside it."""

import statistics

import pytest

from paths import ROOT
from studies import results, tables
from studies.choice import frozen
from studies.run import check
from studies.study import read_study

STUDIES = ROOT / 'configs/studies'
NAMES = (
    'digits',
    'families/regnetx',
    'families/repvgg',
    'families/repvgg_6_epochs',
    'families/resnet18',
    'families/resnetv1d18',
    'fashion_mnist',
)
# Their choice is frozen.
TUNED = ('map/stage1', 'map/stage4_1500', 'map/stage7', 'learning_rate/repvgg')

# Their final runs are done; iterations between two measurements of the consistency.
FINISHED = {'map/stage1': 100, 'map/stage4_1500': 0, 'map/stage7': 0}
# What belongs to them and is still to come: its claims are counted.
TO_COME = ('map/stage4_60000', 'map/stage7_regularised')


def read(name):
    """The rows of a study, its configs in the order of its table, and the table."""
    table = (STUDIES / name / 'results.md').read_text()
    lines = table.split('\n\n')[0].splitlines()[2:]
    configs = [line.strip('| ').split(' | ')[0] for line in lines]
    return results.read(STUDIES / name / 'results.csv'), configs, table


def test_no_study_is_forgotten():
    found = STUDIES.rglob('results.csv')
    assert {*found} == {STUDIES / name / 'results.csv' for name in (*NAMES, *FINISHED)}


@pytest.mark.parametrize('name', NAMES)
def test_no_run_is_missing(name):
    rows, configs, _ = read(name)
    seeds = max(int(row['seed']) for row in rows) + 1
    runs = [(row['config'], int(row['seed'])) for row in rows]
    assert sorted(runs) == sorted((c, seed) for c in configs for seed in range(seeds))
    assert len({row['epochs'] for row in rows}) == 1
    for config in configs:
        # Its own, or one of the zoo.
        found = [*(STUDIES / name).parent.glob(f'{config}.py')]
        assert len(found or [*ROOT.glob(f'configs/**/{config}.py')]) == 1


@pytest.mark.parametrize('name', NAMES)
def test_the_table_is_that_of_the_csv(name):
    rows, configs, table = read(name)
    assert table == tables.report(rows, configs)
    shown = (STUDIES / 'README.md').read_text()
    for part in (tables.table, tables.consistency_table):
        assert part(rows, configs) in shown


@pytest.mark.parametrize('name', TUNED)
def test_the_tuning_is_whole_and_its_choice_that_of_the_table(name):
    study = read_study(STUDIES / f'{name}.py', STUDIES)
    rows = results.read(STUDIES / name / 'tuning.csv')
    assert sorted((row['config'], int(row['seed'])) for row in rows) == sorted(
        (training.name, training.seed) for training in study.tunings()
    )
    assert frozen(STUDIES / name / 'choice.json', study, rows)
    assert tables.tuning_table(study, rows) in (STUDIES / 'README.md').read_text()


@pytest.mark.parametrize('name', FINISHED)
def test_the_final_runs_are_whole_and_trained_as_was_chosen(name):
    folder = STUDIES / name
    study = read_study(STUDIES / f'{name}.py', STUDIES, consistency=FINISHED[name])
    chosen = frozen(folder / 'choice.json', study, results.read(folder / 'tuning.csv'))
    finals, rows = study.finals(chosen), results.read(folder / 'results.csv')
    assert len(rows) == len(finals)
    assert results.by_run(rows).keys() == {(t.name, t.seed) for t in finals}
    check(finals, rows, folder / 'results.csv')


@pytest.mark.parametrize('name', FINISHED)
def test_the_tables_of_the_final_runs_are_those_of_the_csv(name):
    folder = STUDIES / name
    study = read_study(STUDIES / f'{name}.py', STUDIES)
    rows, names = results.read(folder / 'results.csv'), [*study.configs]
    table = (folder / 'results.md').read_text()
    assert table == tables.report(rows, names, study.claims)
    scaled = tables.calibration_table(results.read(folder / 'temperature.csv'), names)
    assert (folder / 'temperature.md').read_text() == scaled.lstrip()
    shown = (STUDIES / 'README.md').read_text()
    accuracies, _, calibration, *_ = table.split('\n\n')
    for part in (accuracies, calibration, scaled.strip()):
        assert part in shown


def test_the_claims_of_all_are_corrected_together():
    claimed = {}
    for name in (*FINISHED, *TO_COME):
        study = read_study(STUDIES / f'{name}.py', STUDIES)
        rows = results.read(STUDIES / name / 'results.csv')
        claimed[name.removeprefix('map/')] = rows, study.claims
    table = tables.claims_table(claimed).lstrip()
    assert (STUDIES / 'map/claims.md').read_text() == table
    assert table in (STUDIES / 'README.md').read_text()


def of_points(name, measure='main'):
    """The mean of a measure over the tuning's seeds, by method and point of the grid."""
    found = {}
    for row in results.read(STUDIES / name / 'tuning.csv'):
        method, point = row['config'].split('_', 1)
        found.setdefault(method, {}).setdefault(point, []).append(float(row[measure]))
    return {
        method: {point: statistics.mean(seeds) for point, seeds in points.items()}
        for method, points in found.items()
    }


def between(ours, theirs):
    """The differences of two methods, point by point."""
    return [ours[point] - theirs[point] for point in ours]


def test_what_stage_1_says_of_seconds_and_calibration():
    ratios = []
    for kind in ('tuning', 'results'):
        seconds = {'dhm': [], 'plain-as-dhm': []}
        for row in results.read(STUDIES / 'map/stage1' / f'{kind}.csv'):
            seconds.get(row['config'].split('_')[0], []).append(float(row['seconds']))
        longer, ours = seconds['plain-as-dhm'], seconds['dhm']
        ratios.append(statistics.median(longer) / statistics.median(ours))
    text = ' '.join((STUDIES / 'README.md').read_text().split())
    tuning, final = ratios
    assert f'{tuning:.2f} times in the tuning and {final:.2f} times in the final' in text

    errors = of_points('map/stage1', 'ece_main')
    below = between(errors['plain'], errors['dhm'])
    assert (
        f"below plain's at all six, by {min(below):.2f} to {max(below):.2f} and in the "
        f'mean {statistics.mean(below):.2f}'
    ) in text
    chosen = errors['plain']['lr0.3_weight_decay0.0002']
    chosen -= errors['dhm']['lr0.1_weight_decay0.001']
    assert f'between the chosen ones it is {chosen:.2f}' in text
    other = errors['plain']['lr0.3_weight_decay0.001']
    assert f'plain has {other:.2f}, and' in text


def test_what_stage_7_says_of_a_longer_training():
    means = of_points('map/stage7')
    *losses, chosen = sorted(between(means['plain'], means['plain-as-dhm']))[::-1]
    text = ' '.join((STUDIES / 'README.md').read_text().split())
    assert (
        f'costs is {min(losses):.1f} to {max(losses):.1f} points below plain of the same '
        f'setting, but for the one that both chose, with {chosen:.1f}'
    ) in text
