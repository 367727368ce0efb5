import json
from dataclasses import replace

import pytest

from paths import ROOT
from studies.choice import freeze, frozen
from studies.study import Study, read_study, tuning_name
from studies.tables import tuning_table
from studies.training import Training

MAP = ROOT / 'configs/studies/map'
LR, DECAY = 'optim_wrapper.optimizer.lr', 'optim_wrapper.optimizer.weight_decay'


@pytest.fixture
def study(tmp_path):
    """Two methods, of which two settings are tuned with two seeds."""
    configs = {'plain': MAP / 'a.py', 'dhm': MAP / 'b.py'}
    grid = {LR: [0.1, 0.3], DECAY: [1e-4, 1e-3]}
    return Study(tmp_path, configs, [5], grid=grid, tuning_seeds=[0, 1])


def rows_of(study, accuracies):
    """Rows of the tuning: by method and seed, the accuracies of the grid's points."""
    return [
        {'config': tuning_name(method, point), 'seed': str(seed), 'main': str(accuracy)}
        for method, of_seeds in accuracies.items()
        for seed, of_points in enumerate(of_seeds)
        for point, accuracy in zip(study.points, of_points)
    ]


def test_the_best_mean_is_chosen_and_of_equal_ones_the_first(study):
    rows = rows_of(
        study,
        {
            'plain': [[80.0, 80.0, 90.0, 81.0], [80.0, 80.0, 50.0, 81.0]],
            # 80.3 twice: the smaller learning rate, whatever sums are rounded to.
            'dhm': [[1.0, 80.1, 80.3, 80.2], [1.0, 80.5, 80.3, 80.4]],
        },
    )
    chosen = {'plain': {LR: 0.3, DECAY: 1e-3}, 'dhm': {LR: 0.1, DECAY: 1e-3}}
    assert study.choose(rows) == chosen
    # Other seeds, which are not the tuning's, do not count.
    more = [{**row, 'seed': '7', 'main': '0'} for row in rows]
    assert study.choose(rows + more) == chosen
    with pytest.raises(ValueError, match=r'no row of dhm_lr0\.3_\w+0\.001, seed 1'):
        study.choose(rows[:-1])


def test_what_has_diverged_is_not_chosen(study):
    accuracies = [[9, 'nan', 1, 2], [9, 90, 20, 2]]
    rows = rows_of(study, dict.fromkeys(study.configs, accuracies))
    assert study.choose(rows)['dhm'] == {LR: 0.3, DECAY: 1e-4}


def test_a_first_one_that_has_diverged_is_not_chosen(study):
    rows = rows_of(study, dict.fromkeys(study.configs, [['nan', 9, 1, 2]] * 2))
    assert study.choose(rows)['plain'] == study.points[1]


def test_costs_are_rounded_up(study, monkeypatch):
    flops = {'a.py': 3, 'b.py': 4}
    monkeypatch.setattr(Training, 'step_flops', lambda self: flops[self.config.name])
    study = replace(study, iterations=10, costs={'plain': 'dhm'})
    finals = study.finals(dict.fromkeys(study.configs, study.points[0]))
    assert {t.name: t.iterations for t in finals} == {'plain': 14, 'dhm': 10}


def test_what_is_tuned_and_what_is_final(study, monkeypatch):
    monkeypatch.setattr(Training, 'check_held_out', lambda self: None)
    study = replace(study, options={LR: 7.0, 'other': 3}, consistency=7)
    tunings = study.tunings()
    point = study.points[0]
    finals = study.finals(dict.fromkeys(study.configs, point))
    # The point counts, whatever the options say.
    assert all(t.options == {**point, 'other': 3} for t in finals)
    assert {t.options[LR] for t in tunings} == {0.1, 0.3}
    assert {t.consistency for t in tunings} == {0}
    assert {t.consistency for t in finals} == {7}
    assert {t.folder for t in tunings} == {study.folder / 'tuning'}


def test_the_table_of_the_tuning(study):
    rows = rows_of(
        study,
        {
            'plain': [[1, 2, 3, 4], [3, 2, 3, 4]],
            'dhm': [[9, 'nan', 1, 2.5], [9, 90, 20, 2]],
        },
    )
    # Of another seed.
    more = [{**row, 'seed': '7', 'main': '0'} for row in rows]
    assert tuning_table(study, rows + more).splitlines() == [
        '| tuning | lr0.1_weight_decay0.0001 | lr0.1_weight_decay0.001 | '
        'lr0.3_weight_decay0.0001 | lr0.3_weight_decay0.001 |',
        '| --- | --- | --- | --- | --- |',
        '| plain | 2.00 | 2.00 | 3.00 | **4.00** |',
        '| dhm | 9.00 | nan | **10.50** | 2.25 |',
    ]


def test_the_choice_is_written_once(study, tmp_path):
    path = tmp_path / 'choice.json'
    rows = rows_of(study, {name: [[1, 2, 3, 4]] * 2 for name in study.configs})
    with pytest.raises(ValueError, match=r'choice\.json: is missing; .* run with --tune'):
        frozen(path, study, rows)
    with pytest.raises(ValueError, match='there is no row'):
        freeze(path, study, rows[1:])
    assert not path.exists()
    freeze(path, study, rows)
    assert frozen(path, study, rows) == study.choose(rows)
    text = path.read_text()
    freeze(path, study, rows)
    other = rows_of(study, {name: [[4, 2, 3, 1]] * 2 for name in study.configs})
    with pytest.raises(ValueError, match=r'not what the rows of tuning\.csv choose'):
        freeze(path, study, other)
    assert path.read_text() == text
    for key, value, said in (
        ('iterations', 7, 'iterations: it has 7, asked is 0'),
        ('seeds', [5, 6], r'seeds: it has \[5, 6\], asked is \[5\]'),
        ('claims', [['dhm', 'plain']], "claims.0: it has \\['dhm', 'plain'\\], asked"),
    ):
        content = json.loads(text)
        content['from'][key] = value
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=said):
            frozen(path, study, rows)
    # As choices of the first version, which do not say these two.
    content = json.loads(text)
    for key in ('seeds', 'claims'):
        del content['from'][key]
    path.write_text(json.dumps(content))
    assert frozen(path, study, rows) == study.choose(rows)
    for damaged in ('', '[]', '{}', '{"from": 1'):
        path.write_text(damaged)
        with pytest.raises(ValueError, match=r'choice\.json: is no frozen choice'):
            frozen(path, study, rows)


@pytest.mark.parametrize('part', [{}, {'indices': 100}, {'indices': None}])
def test_what_is_tuned_must_not_see_the_test_images(part, tmp_path):
    plain = ROOT / 'configs/plain/resnet20_1xb64_digits.py'
    configs = {'plain': MAP / 'resnet8_1xb64_fmnist.py', 'digits': plain}
    options = {f'val_dataloader.dataset.{key}': each for key, each in part.items()}
    if part:
        del configs['plain']
    study = Study(tmp_path, configs, [5], options, grid={LR: [0.1]}, tuning_seeds=[0])
    message = r'digits\.py: val_dataloader and test_dataloader read the same images'
    with pytest.raises(ValueError, match=message):
        study.tunings()


@pytest.mark.parametrize(
    ('key', 'indices'),
    [
        ('train_dataloader.dataset.dataset.indices', None),
        ('val_dataloader.dataset.indices', None),
        ('val_dataloader.dataset.indices', 10000),
        ('val_dataloader.dataset.indices', [60000, 49999]),
    ],
)
def test_what_is_tuned_must_not_see_the_training_images(key, indices, tmp_path):
    configs = {'plain': MAP / 'resnet8_1xb64_fmnist.py'}
    options = {key: indices}
    study = Study(tmp_path, configs, [5], options, grid={LR: [0.1]}, tuning_seeds=[0])
    message = r'fmnist\.py: train_dataloader and val_dataloader read some same images'
    with pytest.raises(ValueError, match=message):
        study.tunings()


def test_the_first_stage_is_the_protocols():
    study = read_study(MAP / 'stage1.py', MAP)
    assert study.claims == [('dhm', 'plain'), ('dhm', 'dsl'), ('dhm', 'plain-as-dhm')]
    tunings = study.tunings()
    finals = study.finals({name: study.points[0] for name in study.configs})
    # 6 methods, 3 learning rates, 2 weight decays, 2 seeds; 10 seeds.
    assert (len(tunings), len(finals)) == (6 * 3 * 2 * 2, 6 * 10)
    assert len({(t.name, t.seed) for t in tunings}) == len(tunings)
    assert not {t.seed for t in tunings} & {t.seed for t in finals}
    lengths = {t.name: t.length for t in finals}
    assert set(lengths.values()) == {6000, lengths['plain-as-dhm']}
    ratio = lengths['plain-as-dhm'] / 6000
    dhm, plain = (next(t for t in finals if t.name == n) for n in ('dhm', 'plain'))
    assert ratio == pytest.approx(dhm.step_flops() / plain.step_flops(), abs=1 / 6000)
    forked = next(t for t in finals if t.name == 'dhm-fork0.5')
    middle = (dhm.step_flops() + plain.step_flops()) / 2
    assert forked.step_flops() == pytest.approx(middle)
    for training, split, indices in (
        (tunings[-1], 'train', -10000),
        (finals[-1], 'test', None),
    ):
        cfg = training.settings()
        found = cfg.val_dataloader.dataset
        assert (found.split, found.get('indices')) == (split, indices)
        assert cfg.train_dataloader.sampler.images == 4000
        assert cfg.train_cfg.val_interval == cfg.train_cfg.max_iters == training.length
        warmup, cosine = cfg.param_scheduler
        assert warmup.end == cosine.begin == round(training.length / 20)
        assert cosine.end == training.length
    assert tunings[-1].settings().optim_wrapper.optimizer.lr == 0.3
    assert tunings[-1].settings().optim_wrapper.optimizer.weight_decay == 1e-3


def test_a_method_may_have_several_lengths(tmp_path):
    path = tmp_path / 'lengths.py'
    path.write_text(
        f"""
_base_ = '{MAP / 'stage1.py'}'

config = '{MAP / 'resnet8_1xb64_fmnist.py'}'
methods = dict(_delete_=True)
methods['plain'] = dict(config=config)
methods['dhm'] = dict(config=config.replace('resnet8', 'resnet8_dhm'))
methods['plain-1.5'] = dict(config=config, iterations=_base_.iterations * 3 // 2)
methods['dhm-2'] = dict(methods['dhm'], iterations=_base_.iterations * 2)
methods['plain-as-dhm-2'] = dict(config=config, costs='dhm-2')
claims = [['dhm-2', 'plain-as-dhm-2']]
del config
"""
    )
    study = read_study(path, tmp_path)
    finals = study.finals({name: study.points[0] for name in study.configs})
    lengths = {t.name: t.length for t in finals}
    as_dhm = lengths.pop('plain-as-dhm-2')
    assert lengths == {'plain': 6000, 'dhm': 6000, 'plain-1.5': 9000, 'dhm-2': 12000}
    plain, dhm = (t.step_flops() for t in finals[:2])
    assert (as_dhm - 1) * plain < 12000 * dhm <= as_dhm * plain * (1 + 1e-9)
    # Each length is tuned.
    tuned = {t.name: t.length for t in study.tunings()}
    assert tuned['plain-1.5_lr0.1_weight_decay0.001'] == 9000
    assert len(tuned) == 5 * 6
    # A study without lengths keeps the choices that were frozen before there were any.
    assert study.content['lengths'] == {'plain-1.5': 9000, 'dhm-2': 12000}
    assert 'lengths' not in read_study(MAP / 'stage1.py', MAP).content


GOOD = dict(
    methods={'a': dict(config='a.py'), 'b': dict(config='a.py', costs='a')},
    iterations=3,
    grid={'x': [1]},
    tuning_seeds=[0],
    seeds=[1],
)


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        (dict(seeds=[0, 1]), r'the tuning has used the seeds \[0\]'),
        (
            dict(seeds=[1, 1]),
            r'seeds=\[1, 1\]; there must be some, integers from 0 on, none twice',
        ),
        (dict(seeds=['1']), r"seeds=\['1'\]; there must be some, integers"),
        (dict(seeds=[]), r'seeds=\[\]; there must be some'),
        (dict(seeds=[-1]), r'seeds=\[-1\]; there must be some, integers from 0 on'),
        (dict(tuning_seeds=[]), r'tuning_seeds=\[\]; there must be some'),
        (dict(tuning_seeds=[0, 0]), r'tuning_seeds=\[0, 0\]; .* none twice'),
        (
            dict(claims=[['a', 'b', 'a']]),
            r"claims has \['a', 'b', 'a'\], ",
        ),
        (dict(iterations='3'), "iterations='3'; it must be of type int"),
        (dict(iterations=0), 'iterations=0; must be at least 1'),
        (dict(length=3), 'length is none of methods, iterations'),
        (dict(grid={}), r'grid=\{\}; there must be a setting to tune'),
        (dict(grid={'x': 1}), r"grid\['x'\]=1; it must be a list of values"),
        (dict(grid={'x': 'ab'}), r"grid\['x'\]='ab'; it must be a list of values"),
        (dict(grid={'x': []}), r"grid\['x'\]=\[\]; it must be a list of values"),
        (dict(grid={'x': [1, 1]}), r"grid\['x'\]=\[1, 1\]; .* none twice"),
        (dict(grid={'x': [1, '1']}), "methods and grid name rows and folders, .* 'a_x1'"),
        (dict(grid={'x': ['1/2']}), "methods and grid name .* 'a_x1/2'; all names must"),
        (dict(methods={}), r'methods=\{\}; there must be some'),
        (dict(methods={'a': None}), r"methods\['a'\] is None; it must be a dict"),
        (dict(claims=[3]), 'claims has 3, which is no pair of methods'),
        (dict(claims=[['a', ['b']]]), r"claims has \['a', \['b'\]\], which is no pair"),
        (dict(claims=[['a', 'c']]), r"claims has \['a', 'c'\], which is no pair"),
        (dict(methods={'a': 'a.py'}), r"methods\['a'\] is 'a.py'; it must be a dict"),
        (
            dict(methods={'a': dict(config='c.py')}),
            r"\w+\['a'\]: there is no .*c\.py",
        ),
        (
            dict(methods={'a': dict(config='a.py', iterations=1.5)}),
            r"methods\['a'\] has iterations=1\.5; it must be an integer, at least 1",
        ),
        (
            dict(methods={'a': dict(config='a.py', iterations=0)}),
            r"methods\['a'\] has iterations=0; it must be an integer, at least 1",
        ),
        (
            dict(methods={'a': dict(config='a.py', iterations=2, costs='a')}),
            r"methods\['a'\] is .*; it must be a dict with .* either iterations or costs",
        ),
        (
            dict(methods={'a': dict(config='a.py', costs='b')}),
            r"methods\['a'\] costs 'b', which must be a method without costs",
        ),
        (
            dict(methods={'a': dict(config='a.py', costs='a')}),
            r"methods\['a'\] costs 'a', which must be a method without costs",
        ),
    ],
)
def test_names_what_is_wrong_in_a_study(changed, message, tmp_path):
    (tmp_path / 'a.py').write_text('')
    path = tmp_path / 'study.py'

    def write(content):
        path.write_text(''.join(f'{key} = {value!r}\n' for key, value in content.items()))

    write(GOOD)
    assert [*read_study(path, tmp_path).configs] == ['a', 'b']
    assert read_study(path, tmp_path).title == 'study'
    write({**GOOD, **changed})
    with pytest.raises(ValueError, match=rf'study\.py: {message}'):
        read_study(path, tmp_path)
    write({key: value for key, value in GOOD.items() if key != 'seeds'})
    with pytest.raises(ValueError, match=r'study\.py: has no seeds'):
        read_study(path, tmp_path)


def test_rows_of_other_seeds_are_refused(study, tmp_path):
    rows = [dict(config='dhm', seed='5'), dict(config='none of them', seed='6')]
    study.check_seeds(rows, tmp_path)
    with pytest.raises(ValueError, match=r'has rows of the seeds \[7\], which the study'):
        study.check_seeds([*rows, dict(config='plain', seed='7')], tmp_path)
