"""The published studies: every table is computed from the CSV file beside it."""

import statistics

import pytest
from scipy.stats import t

from paths import ROOT
from studies import results, tables
from studies.choice import frozen
from studies.comparison import differences, paired_difference
from studies.final_rows import final_rows
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
TUNED = (
    'map/stage1',
    'map/stage4_1500',
    'map/stage6_4000_6000',
    'map/stage7',
    'map/stage7_regularised',
    'learning_rate/repvgg',
)

# Their final runs are done, in the order of the hours that docs/study.md gives.
FINISHED = (
    'map/stage1',
    'map/stage4_1500',
    'map/stage7',
    'map/stage7_regularised',
    'map/stage6_4000_6000',
)
# Iterations between two measurements of the consistency; of the others there are none.
CONSISTENCY = {'map/stage1': 100, 'map/stage6_4000_6000': 100}


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
    consistency = CONSISTENCY.get(name, 0)
    study = read_study(STUDIES / f'{name}.py', STUDIES / name, consistency=consistency)
    finals = final_rows(study)
    assert finals.finished
    assert results.read(study.folder / 'results.csv') == finals.rows
    runs = sorted((row['config'], int(row['seed'])) for row in finals.rows)
    assert runs == sorted((name, seed) for name in study.configs for seed in study.seeds)


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
    assert table.split('\n\n')[0] in shown


@pytest.fixture(scope='module')
def stages():
    """The studies of the map and their rows, by name; of some there are none yet."""
    found = {}
    for path in sorted((STUDIES / 'map').glob('stage*.py')):
        study = read_study(path, path.with_suffix(''))
        found[path.stem] = (study, final_rows(study).shown)
    return found


@pytest.fixture(scope='module')
def claimed(stages):
    """The rows and the claims of each."""
    return {name: (rows, study.claims) for name, (study, rows) in stages.items()}


def test_the_claims_of_all_are_corrected_together(stages, claimed):
    """Those of stages that are not begun are counted."""
    settings = tables.settings_table(stages)
    claims = tables.claims_table(claimed)
    assert (STUDIES / 'map/claims.md').read_text() == settings + claims
    assert settings in (ROOT / 'README.md').read_text()
    assert settings in (STUDIES / 'README.md').read_text()


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


def said():
    """The studies' page, on one line."""
    return ' '.join((STUDIES / 'README.md').read_text().split())


def finals(name, column='main'):
    """A column of the final runs, by method and seed."""
    rows = results.read(STUDIES / name / 'results.csv')
    return {c: results.values(rows, c, column) for c in {row['config'] for row in rows}}


def test_what_the_map_says_of_seconds_and_of_what_cannot_be_shown():
    seconds = {
        name: statistics.median(values.values())
        for name, values in finals('map/stage7', 'seconds').items()
    }
    dhm = seconds['dhm'] / seconds['plain']
    plain = seconds['plain-as-dhm'] / seconds['dhm']
    assert (
        f'DHM took {dhm:.2f} times as long as plain, and `plain-as-dhm` {plain:.2f} times'
    ) in said()

    least = []
    for name in FINISHED:
        study = read_study(STUDIES / f'{name}.py', STUDIES)
        mains = finals(name)
        for ours, theirs in study.claims:
            found = [mains[ours][seed] - mains[theirs][seed] for seed in study.seeds]
            error = statistics.stdev(found) / len(found) ** 0.5
            least.append(t.ppf(1 - 0.05 / 43 / 2, len(found) - 1) * error)
    assert f'a difference below {min(least):.1f} to {max(least):.1f}.' in said()


def test_what_the_protocol_says_of_the_hours():
    hours, taken = [], []
    for name in FINISHED:
        rows = [
            row
            for kind in ('tuning', 'results')
            for row in results.read(STUDIES / name / f'{kind}.csv')
        ]
        # Rows of stage 7's tuning are there twice.
        new = [row for row in rows if row not in taken]
        hours.append(sum(float(row['seconds']) for row in new) / 3600)
        taken += rows
    first, short, wrong, regularised, classes = (f'{each:.1f}' for each in hours)
    text = ' '.join((ROOT / 'docs/study.md').read_text().split())
    assert (
        f'{first} hours for stage 1, {short} for `stage4_1500.py`, {wrong} for stage 7, '
        f'{regularised} for `stage7_regularised.py` and {classes} for '
        '`stage6_4000_6000.py`'
    ) in text


def test_what_stage_1_says_of_calibration():
    errors = of_points('map/stage1', 'ece_main')
    below = between(errors['plain'], errors['dhm'])
    assert (
        f"is below plain's at all six settings, by {min(below):.2f} to {max(below):.2f} "
        f'and in the mean {statistics.mean(below):.2f}'
    ) in said()
    chosen = errors['plain']['lr0.3_weight_decay0.0002']
    ours = errors['dhm']['lr0.1_weight_decay0.001']
    assert f'between the chosen ones it is {chosen - ours:.2f}' in said()
    other = errors['plain']['lr0.3_weight_decay0.001']
    assert f'plain has an error of {other:.2f} at 90.21 %' in said()
    assert f'and DHM, as it was chosen, {ours:.2f} at 90.25 %' in said()


def test_what_stage_7_says_of_same_settings_and_ensembles():
    means = of_points('map/stage7')
    *losses, chosen = sorted(between(means['plain'], means['plain-as-dhm']))[::-1]
    assert (
        f'lowers plain by {min(losses):.1f} to {max(losses):.1f} points at five of the '
        f'six settings, and by {chosen:.1f} at the sixth'
    ) in said()
    above = [between(means['dhm'], means[name]) for name in ('plain', 'dsl')]
    parts = [f'by {min(each):.2f} to {max(each):.2f}' for each in above]
    assert (
        f'DHM is above plain at all six, {parts[0]}, and above DSL, {parts[1]}' in said()
    )

    plain = statistics.mean(finals('map/stage7')['plain'].values())
    ensembles = finals('map/stage7', 'ensemble')
    dsl, dhm = (statistics.mean(ensembles[c].values()) - plain for c in ('dsl', 'dhm'))
    assert f'of DSL and of DHM are {dsl:.2f} and {dhm:.2f} above plain' in said()


def test_what_stage_7_regularised_says_of_p_values_and_means(claimed):
    name = 'stage7_regularised'
    of_all = tables.corrected_p_values(claimed)
    own = tables.corrected_p_values({name: claimed[name]})
    plain, dsl = (f'{of_all[name, ("dhm", each)]:.2f}' for each in ('plain', 'dsl'))
    each = {f'{own[name, ("dhm", each)]:.2f}' for each in ('plain', 'dsl')}
    assert (
        f'are p = {"".join(each)} each over the four claims of this setting, and {plain} '
        f'and {dsl} over all'
    ) in said()
    # The best mean, twice.
    for name in ('map/stage7', 'map/stage7_regularised'):
        means = {c: statistics.mean(found.values()) for c, found in finals(name).items()}
        assert max(means, key=means.get) == 'dhm'


def test_what_the_map_says_of_gains_outside_of_an_interval():
    bounds = []
    for name in ('map/stage1', 'map/stage6_4000_6000'):
        mains = finals(name)
        mean, half, _ = paired_difference(mains['dhm'], mains['plain'])
        bounds.append(f'one above {mean + half:.2f}')
    assert (
        f'{bounds[0]} is outside of the 95% interval, with 94 classes {bounds[1]};'
        in said()
    )


def test_what_stage_6_says_of_consistency_and_gain():
    rises, spans = [], []
    for name in ('map/stage6_4000_6000', 'map/stage1'):
        mains = finals(name)
        gains = differences(mains['dhm'], mains['dsl'])
        rows = results.read(STUDIES / name / 'results.csv')
        found = {
            measure: differences(
                *(results.values(rows, c, measure) for c in ('dhm', 'dsl'))
            )
            for measure in results.measures(rows)
            if measure.startswith(('cka_', 'cosine_ce_'))
        }
        assert len(found) == 7
        means = {measure: statistics.mean(seeds) for measure, seeds in found.items()}
        assert min(means.values()) > 0
        cosines = [mean for measure, mean in means.items() if 'cosine' in measure]
        rises.append(f'by {min(cosines):.2f} to {max(cosines):.2f}')
        correlations = [statistics.correlation(gains, seeds) for seeds in found.values()]
        spans.append(f'between {min(correlations):+.2f} and {max(correlations):+.2f}')
    assert f'{rises[0]} here and {rises[1]} with' in said()
    assert f'is {spans[0]} here, and {spans[1]} there' in said()
