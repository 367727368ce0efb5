"""The published studies: every table is computed from the CSV file beside it."""

import re
import statistics

import pytest
from scipy.stats import pearsonr, t

from paths import ROOT
from studies import results, tables
from studies.choice import frozen
from studies.comparison import differences, holm, paired_difference
from studies.curve import on_curve
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
    'map/stage3_1000_6000',
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
    'map/stage3_1000_6000',
)
# They are left of what docs/study.md says that two cores can do.
NEXT = (
    'map/stage3_50000_6000',
    'map/stage9_cheaper',
    'map/stage9_better',
    'map/stage8_4000_6000',
    'map/stage2',
    'map/stage5_4000_6000',
)
NUMBERS = {5: 'five', 6: 'six', 7: 'seven'}
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
    assert table == tables.report(rows, names, study.claims, study.lengths_of_first)
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


def finals(name, column='main', file='results'):
    """A column of the final runs, by method and seed."""
    rows = results.read(STUDIES / name / f'{file}.csv')
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
    first, short, wrong, regularised, classes, few = (f'{each:.1f}' for each in hours)
    page = (ROOT / 'docs/study.md').read_text()
    text = ' '.join(page.split())
    assert (
        f'{first} hours for stage 1, {short} for `stage4_1500.py`, {wrong} for stage 7, '
        f'{regularised} for `stage7_regularised.py`, {classes} for '
        f'`stage6_4000_6000.py` and {few} for `stage3_1000_6000.py`'
    ) in text

    lines = re.findall(r'\| `(\w+)\.py` \|.*\| ([0-9.]+) \|\n', page)
    estimated = {f'map/{name}': float(each) for name, each in lines}
    assert len(estimated) == 18
    done = sum(estimated[name] for name in FINISHED)
    left = sum(estimated[name] for name in NEXT)
    ratio = sum(hours) / done
    assert (
        f'The {NUMBERS[len(FINISHED)]} finished files took {sum(hours):.1f} hours, where '
        f'{done:.1f} were estimated; the {left:.0f} that are left may take '
        f'{10 * round(left * ratio / 10)}.'
    ) in text


def test_what_stage_1_says_of_plains_curve():
    rows = results.read(STUDIES / 'map/stage1/results.csv')
    fork, plain = (results.values(rows, c, 'flops')[10] for c in ('dhm-fork0.5', 'plain'))
    assert f'DHM costs {fork / plain:.2f} times plain and has the lowest mean' in said()
    curve = on_curve(rows, 'dhm-fork0.5', ['plain', 'plain-as-dhm'])
    below = shown(curve, results.values(rows, 'dhm-fork0.5'), '')
    assert f"{below} below plain's curve at that cost" in said()


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


def shown(ours, theirs, sign='+'):
    """The difference of two methods' final runs, with its interval, as on the page."""
    mean, half, _ = paired_difference(ours, theirs)
    return f'{mean:{sign}.2f} ± {half:.2f}'


def test_what_the_map_says_of_intervals_and_chance(stages):
    ends, chance = [], []
    for name, (_, rows) in stages.items():
        if not rows:
            continue
        mains = finals(f'map/{name}')
        mean, half, _ = paired_difference(mains['dhm'], mains['plain'])
        ends.append(f'{mean + half:+.2f}')
        if name in ('stage1', 'stage3_1000_6000', 'stage6_4000_6000'):
            longer = differences(mains['plain-as-dhm'], mains['plain'])
            chance.append(statistics.stdev(longer))
    assert f'end at {", ".join(ends[:-1])} and {ends[-1]}: smaller' in said()
    assert f'differs by {min(chance):.1f} to {max(chance):.1f} points by' in said()


def test_what_the_regularised_stage_says_of_plains_settings():
    best, second = sorted(of_points('map/stage7_regularised')['plain'].values())[:-3:-1]
    assert f'two best settings differ by {best - second:.3f} points' in said()


def test_what_stage_6_says_of_settings_ensembles_and_calibration():
    name = 'map/stage6_4000_6000'
    means = of_points(name)
    above = {point: dhm - means['plain'][point] for point, dhm in means['dhm'].items()}
    ahead = {point for point in above if above[point] > 0}
    assert ahead == {point for point in above if point.startswith('lr0.3_')}
    low, high = sorted(above[point] for point in ahead)
    assert f'DHM is {low:.2f} to {high:.2f} above plain at the largest rate' in said()

    mains = finals(name)
    wrong = 100 - statistics.mean(mains['plain'].values())
    mean, half, _ = paired_difference(mains['dhm'], mains['plain'])
    assert f'Plain has {wrong:.1f} % errors' in said()
    share = 100 * (mean + half) / wrong
    assert (
        f'{mean + half:.2f} points, where the interval ends, are {share:.0f} %' in said()
    )
    ensembles = finals(name, 'ensemble')['dsl']
    plain, longer = (shown(ensembles, mains[c], '') for c in ('plain', 'plain-as-dhm'))
    assert f'{plain} above plain and {longer} above `plain-as-dhm`' in said()

    errors = finals(name, 'ece_main')
    dhm, longer = (shown(errors[c], errors['plain']) for c in ('dhm', 'plain-as-dhm'))
    assert f'(error {dhm}), those of `plain-as-dhm` less ({longer})' in said()
    errors = finals(name, 'ece_main', 'temperature')
    dhm, longer = (shown(errors[c], errors['plain']) for c in ('dhm', 'plain-as-dhm'))
    assert f'DHM {dhm}, `plain-as-dhm` {longer}.' in said()


def rises(name, kind):
    """What DHM's consistency is above DSL's, by measure: a number a seed."""
    rows = results.read(STUDIES / f'map/{name}/results.csv')
    return {
        measure: differences(*(results.values(rows, c, measure) for c in ('dhm', 'dsl')))
        for measure in results.measures(rows)
        if measure.startswith(kind)
    }


def span(found):
    """The least and the largest mean, as the page says them."""
    means = sorted(abs(statistics.mean(seeds)) for seeds in found.values())
    return f'by {means[0]:.2f} to {means[-1]:.2f}'


def test_what_stage_6_says_of_consistency_and_gain():
    spans, correlations, p_values = [], [], []
    for name in ('stage6_4000_6000', 'stage1'):
        found = rises(name, ('cka_', 'cosine_ce_'))
        assert len(found) == 7
        assert min(statistics.mean(seeds) for seeds in found.values()) > 0
        spans.append(span(rises(name, 'cosine_ce_')))
        mains = finals(f'map/{name}')
        gains = differences(mains['dhm'], mains['dsl'])
        each = [pearsonr(gains, seeds) for seeds in found.values()]
        p_values += [r.pvalue for r in each]
        ends = [r.statistic for r in each]
        correlations.append(f'between {min(ends):+.2f} and {max(ends):+.2f}')
    assert f'{spans[0]} here and {spans[1]} with' in said()
    assert f'is {correlations[0]} here, and {correlations[1]} there' in said()
    told = t.ppf(0.975, 8) / (8 + t.ppf(0.975, 8) ** 2) ** 0.5
    assert f'between -{told:.2f} and +{told:.2f} from 0' in said()
    corrected = min(holm(p_values))
    assert f'p = {min(p_values):.3f}, and {corrected:.3f} after Holm' in said()
    whole = rises('stage6_4000_6000', 'cosine_stage')
    assert max(statistics.mean(seeds) for seeds in whole.values()) < 0
    assert f'are lower here, {span(whole)}' in said()


def test_what_stage_3_says_of_differences_and_calibration(claimed):
    stage = 'stage3_1000_6000'
    name = f'map/{stage}'
    mains = finals(name)
    dhm, dsl, plain, longer = (mains[c] for c in ('dhm', 'dsl', 'plain', 'plain-as-dhm'))
    above = sum(each > 0 for each in differences(dhm, plain))
    assert above == 5
    assert f'plain trained longer has {shown(plain, longer, "")} less' in said()
    assert f'and DHM {shown(plain, dhm, "")}. DHM' in said()
    assert f"above DSL's by {shown(dhm, dsl, '')}, and above" in said()
    assert f'at equal computing by {shown(dhm, longer, "")}; neither' in said()
    assert f'lower the main branch here, by {shown(plain, dsl, "")}, and' in said()
    assert f'does not help, {shown(longer, plain)} (' in said()
    means = {c: statistics.mean(found.values()) for c, found in mains.items()}
    assert max(means, key=means.get) == 'plain'

    of_all = tables.corrected_p_values(claimed)
    own = tables.corrected_p_values({stage: claimed[stage]})
    rivals = [('dhm', each) for each in ('dsl', 'plain-as-dhm')]
    (each,) = {f'{own[stage, rival]:.2f}' for rival in rivals}
    both = ' and '.join(f'{of_all[stage, rival]:.2f}' for rival in rivals)
    assert f'p = {each} each over the three claims of this setting, and {both}' in said()
    tuned = {c: max(of_points(name)[c].values()) for c in ('dhm', 'plain')}
    assert f'by {tuned["dhm"] - tuned["plain"]:.2f}, the test images do not' in said()
    ensembles = {c: finals(name, 'ensemble')[c] for c in ('dsl', 'dhm')}
    best = max(ensembles, key=lambda c: statistics.mean(ensembles[c].values()))
    assert (
        f"DSL's ensemble has the best mean, {shown(ensembles['dsl'], plain, '')}"
        in said()
    )
    assert best == 'dsl'

    nlls, errors = (finals(name, f'{each}_main') for each in ('nll', 'ece'))
    mean, half, _ = paired_difference(nlls['plain'], nlls['dhm'])
    assert f'by {mean:.3f} ± {half:.3f} nats' in said()
    assert f'smaller, by {shown(errors["plain"], errors["dhm"], "")}. On' in said()
    points = {each: of_points(name, f'{each}_main') for each in ('nll', 'ece')}
    below = {c: between(each['plain'], each['dhm']) for c, each in points.items()}
    assert min(below['nll']) > 0
    spread = f'{min(below["ece"]):.2f} to {max(below["ece"]):.2f}'
    assert f'are so at all six settings, the error by {spread}' in said()
    found = finals(name, 'temperature', 'temperature')
    means = [statistics.mean(seeds.values()) for seeds in found.values()]
    assert f'are {min(means):.2f} to {max(means):.2f} in the mean. With' in said()
    nlls, errors = (finals(name, f'{c}_main', 'temperature') for c in ('nll', 'ece'))
    assert f'any more ({shown(errors["dhm"], errors["plain"])})' in said()
    mean, half, _ = paired_difference(nlls['plain'], nlls['dhm'])
    assert f'of the likelihood {mean:.3f} ± {half:.3f} is left' in said()
