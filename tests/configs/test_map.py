"""The configs of the map: networks, side branches, methods and images; and its stages."""

import math

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS, MODELS

from dhm_plugin.checkpoints.compare import differing_weights
from paths import ROOT
from studies.settings import settings_of
from studies.study import read_study

MAP = ROOT / 'configs/studies/map'
PLAIN = MAP / 'resnet8_1xb64_fmnist.py'
OTHERS = sorted(MAP.glob('resnet8_d*_1xb64_fmnist.py'))
DEEPER = sorted(MAP.glob('resnet20_*_1xb64_fmnist.py'))
CONFIGS = [PLAIN, *OTHERS, MAP / 'resnet20_1xb64_fmnist.py', *DEEPER]
CHARACTERS = [MAP / f'resnet8_{tag}1xb64_characters.py' for tag in ('', 'dsl_', 'dhm_')]
# Channels and blocks of the side branches' stages.
BRANCHES = {
    'resnet8': [[(16, 32, 1), (32, 64, 1)], [(32, 128, 1)]],
    'resnet8_dhm-narrow': [[(16, 16, 1), (16, 32, 1)], [(32, 32, 1)]],
    'resnet8_dhm-short': [[(32, 64, 1)]],
    'resnet20': [[(16, 32, 3), (32, 64, 2)], [(32, 128, 3)]],
}


def test_the_methods():
    found = {}
    for config in OTHERS:
        cfg = Config.fromfile(config)
        loss = cfg.model.head.mimicking_loss
        probs = {branch.get('fork_prob', 1) for branch in cfg.model.neck.branches}
        schedule = cfg.default_hooks.get('schedule', {})
        found[config.stem.split('_')[1]] = (
            loss and (loss.get('students', 'all'), loss.get('teachers', 'all')),
            schedule.get('loss_weight', loss and loss.get('loss_weight', 1)),
            schedule.get('fork_prob', *probs),
        )
    every = ('all', 'all')
    assert found == {
        'dsl': (None, None, 1),
        'dhm': (every, 1, 1),
        'dhm-fork0.5': (every, 1, 0.5),
        'dhm-main-teaches': (('side', 'main'), 1, 1),
        'dhm-fork0.25': (every, 1, 0.25),
        'dhm-early': (every, 1, [(0.5, 1), (0.5, 0)]),
        'dhm-late': (every, 1, [(0.5, 0), (0.5, 1)]),
        'dhm-narrow': (every, 1, 1),
        'dhm-short': (every, 1, 1),
        'dhm-ramp': (every, [(0, 0), (0.5, 1)], 1),
        'dhm-w0.5': (every, 0.5, 1),
        'dhm-w2': (every, 2, 1),
    }


def test_the_deeper_network_has_the_methods_that_matter():
    losses = {
        path.stem.split('_')[1]: Config.fromfile(path).model.head.mimicking_loss
        for path in DEEPER
    }
    assert losses == {'dsl': None, 'dhm': dict(type='MimickingLoss')}


@pytest.mark.parametrize('config', [*OTHERS, *DEEPER], ids=lambda path: path.stem)
def test_without_side_branches_it_is_the_plain_network(config, build):
    network = config.stem.split('_')[0]
    paths = (MAP / f'{network}_1xb64_fmnist.py', config)
    plain, other = (build(path.relative_to(ROOT / 'configs')) for path in paths)
    stages = [
        [(stage.in_channels, stage.out_channels, len(stage)) for stage in branch]
        for branch in other.neck.branches
    ]
    described = config.stem.partition('_1xb')[0]
    assert stages == BRANCHES.get(described, BRANCHES[network])
    other.switch_to_deploy()
    assert differing_weights(other.state_dict(), plain.state_dict()) == []
    other.load_state_dict(plain.state_dict())
    images = torch.rand(2, 1, 28, 28)
    assert torch.equal(plain.eval()(images), other.eval()(images))


def test_whatever_is_no_part_of_the_network_is_the_same():
    for config in CONFIGS[1:]:
        ours, theirs = (Config.fromfile(path).to_dict() for path in (PLAIN, config))
        theirs['default_hooks'].pop('schedule', None)
        for name in theirs.keys() - {'model', 'stage', 'branches', 'schedule'}:
            assert ours[name] == theirs[name], name


def test_the_characters_are_94_classes_in_three_splits_of_whole_fonts():
    for config in CHARACTERS:
        cfg = Config.fromfile(config)
        training, held_out, test = (
            loader.dataset
            for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader)
        )
        training = training.dataset
        assert training.indices % 94 == held_out.indices % 94 == 0
        assert test.get('indices') is None
        assert test.test_mode
        assert not held_out.test_mode
        assert held_out.split == training.split == 'train'
        for dataset in (training, held_out, test):
            assert len(dataset.metainfo.classes) == 94
            assert (dataset.type, dataset.data_root) == ('MNIST', 'data/characters')
        assert cfg.model.head.num_classes == cfg.data_preprocessor.num_classes == 94
        # Mirrored, a b is a d.
        assert cfg.data_preprocessor.flip_prob == 0


@pytest.fixture
def fashion_mnist(tmp_path):
    """Files as Fashion-MNIST's, whose images tell their split and number."""
    for name, size, split in (('train', 60000, 1), ('t10k', 10000, 2)):
        images = np.zeros((size, 28, 28), np.uint8)
        numbers = np.arange(size)
        images[:, 0, :3] = np.stack(
            [numbers // 256, numbers % 256, numbers * 0 + split], 1
        )
        header = np.array([0x00000803, size, 28, 28], '>i4').tobytes()
        (tmp_path / f'{name}-images-idx3-ubyte').write_bytes(header + images.tobytes())
        header = np.array([0x00000801, size], '>i4').tobytes()
        labels = (numbers % 10).astype(np.uint8).tobytes()
        (tmp_path / f'{name}-labels-idx1-ubyte').write_bytes(header + labels)
    return tmp_path


def numbers_of(dataset):
    """Which image of which split each one is."""
    pixels = [np.asarray(dataset.get_data_info(i)['img']) for i in range(len(dataset))]
    return {(int(p[0, 2]), 256 * int(p[0, 0]) + int(p[0, 1])) for p in pixels}


def test_the_images_of_training_tuning_and_test_differ(fashion_mnist):
    cfg = Config.fromfile(PLAIN)
    train = cfg.train_dataloader.dataset.dataset
    found = []
    for dataset in (train, cfg.val_dataloader.dataset, cfg.test_dataloader.dataset):
        dataset.data_root = str(fashion_mnist)
        found.append(numbers_of(DATASETS.build(dataset)))
    assert found[0] == {(1, number) for number in range(50000)}
    assert found[1] == {(1, number) for number in range(50000, 60000)}
    assert found[2] == {(2, number) for number in range(10000)}


@pytest.mark.parametrize('method', ['', 'dhm_', 'dhm-ramp_'])
def test_it_trains(method, fashion_mnist, tmp_path):
    cfg = Config.fromfile(MAP / f'resnet8_{method}1xb64_fmnist.py')
    for loader in (cfg.train_dataloader.dataset, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(fashion_mnist)
    cfg.merge_from_dict(
        {
            'train_cfg.max_iters': 2,
            'train_cfg.val_interval': 3,
            'default_hooks.logger.interval': 1,
            'param_scheduler': [],
            'work_dir': str(tmp_path / 'run'),
            'experiment_name': f'{method}trains',
            'val_dataloader.dataset.indices': -100,
            'randomness.seed': 0,
        }
    )
    runner = Runner.from_cfg(cfg)
    before = {key: value.clone() for key, value in runner.model.state_dict().items()}
    runner.train()
    assert len(runner.train_dataloader.sampler.part) == 4000
    after = runner.model.state_dict()
    for key in before:
        if key.endswith('conv1.weight') and key.startswith('backbone'):
            assert not torch.equal(before[key], after[key])
    assert 0 < runner.message_hub.get_scalar('val/accuracy/top1').current() < 100


FOUR = ('plain', 'dsl', 'dhm', 'plain-as-dhm')
CLAIMS = [('dhm', 'plain'), ('dhm', 'dsl'), ('dhm', 'plain-as-dhm')]
CHEAPER = ('plain', 'dhm', 'dhm-fork0.25', 'dhm-early', 'dhm-late', 'dhm-narrow')
CHEAPER += ('dhm-short',)
BETTER = ('plain', 'dhm', 'dhm-ramp', 'dhm-w0.5', 'dhm-w2')
# Network, images, share of wrong labels, and the iterations of the methods.
STAGES = {
    'stage2': ('resnet8', 4000, 0, dict.fromkeys(FOUR, 25000)),
    'stage3_1000_6000': ('resnet8', 1000, 0, dict.fromkeys(FOUR, 6000)),
    'stage3_1000_25000': ('resnet8', 1000, 0, dict.fromkeys(FOUR, 25000)),
    'stage3_50000_6000': ('resnet8', 50000, 0, dict.fromkeys(FOUR, 6000)),
    'stage3_50000_25000': ('resnet8', 50000, 0, dict.fromkeys(FOUR, 25000)),
    'stage4_1500': ('resnet8', 4000, 0, dict.fromkeys(FOUR, 1500)),
    'stage4_60000': ('resnet8', 4000, 0, dict.fromkeys(FOUR, 60000)),
    'stage5_4000_6000': ('resnet20', 4000, 0, dict.fromkeys(FOUR, 6000)),
    'stage5_50000_25000': ('resnet20', 50000, 0, dict.fromkeys(FOUR, 25000)),
    'stage6_4000_6000': ('resnet8', 4000, 0, dict.fromkeys(FOUR, 6000)),
    'stage6': ('resnet8', 38916, 0, dict.fromkeys(FOUR, 25000)),
    'stage7': ('resnet8', 4000, 0.2, dict.fromkeys(FOUR, 6000)),
    'stage7_regularised': (
        'resnet8',
        4000,
        0.2,
        dict.fromkeys((*FOUR, 'plain-smooth'), 6000),
    ),
    'stage8_4000_6000': (
        'resnet8',
        4000,
        0,
        {'plain': 6000, 'plain-1.5': 9000, 'plain-4': 24000, 'plain-8': 48000},
    ),
    'stage8_50000_25000': (
        'resnet8',
        50000,
        0,
        {'plain': 25000, 'plain-1.5': 37500, 'plain-4': 100000},
    ),
    'stage9_cheaper': ('resnet8', 4000, 0, dict.fromkeys(CHEAPER, 6000)),
    'stage9_better': ('resnet8', 4000, 0, dict.fromkeys(BETTER, 6000)),
}


def read(stage):
    """A stage, and its final runs with the first point of the grid."""
    study = read_study(MAP / f'{stage}.py', MAP)
    return study, study.finals({name: study.points[0] for name in study.configs})


def test_no_stage_is_forgotten():
    found = sorted(path.stem for path in MAP.glob('stage*.py'))
    assert found == sorted([*STAGES, 'stage1'])


@pytest.mark.parametrize('stage', STAGES)
def test_a_stage_is_the_protocols(stage):
    network, images, wrong, lengths = STAGES[stage]
    study, finals = read(stage)
    first, _ = read('stage1')
    if stage == 'stage7_regularised':
        assert study.tuning_seeds == first.tuning_seeds
        assert not {*study.seeds} & {*first.seeds, *first.tuning_seeds}
        lr, weight_decay = study.grid.values()
        assert [lr, weight_decay[:2]] == [*first.grid.values()]
        assert weight_decay[2:] == [3e-3, 1e-2]
        assert study.claims == [*CLAIMS, ('dhm', 'plain-smooth')]
    else:
        for name in ('grid', 'tuning_seeds', 'seeds'):
            assert getattr(study, name) == getattr(first, name)
        assert study.claims == ([] if stage[:6] in ('stage8', 'stage9') else CLAIMS)
    data = 'characters' if stage[:6] == 'stage6' else 'fmnist'
    assert [*study.configs] == [*lengths]
    one = study.seeds[0]
    of_seed = {training.name: training for training in finals if training.seed == one}
    for name, training in of_seed.items():
        method = name if stage.startswith('stage9') else name.split('-')[0]
        method = 'smooth' if name == 'plain-smooth' else method
        tag = '' if method == 'plain' else f'{method}_'
        assert training.config.name == f'{network}_{tag}1xb64_{data}.py'
        cfg = training.settings()
        MODELS.build(cfg.model)
        assert cfg.train_dataloader.sampler.images == images
        assert cfg.default_hooks.get('wrong_labels', {}).get('share', 0) == wrong
        assert cfg.train_cfg.val_interval == cfg.train_cfg.max_iters
        length = lengths[name]
        if name == 'plain-as-dhm':
            ratio = of_seed['dhm'].step_flops() / training.step_flops()
            length = math.ceil(length * ratio)
        assert cfg.train_cfg.max_iters == length
        assert cfg.param_scheduler[0].end == round(length / 20)
        assert cfg.param_scheduler[1].end == length
    title = f'{images:,} images'
    title += ', ResNet-20' if network == 'resnet20' else ''
    title += ', 94 classes' if stage[:6] == 'stage6' else ''
    title += ', a fifth of the labels wrong' if wrong else ''
    title += ', regularised' if stage == 'stage7_regularised' else ''
    assert study.title == title
    line = f'| `{stage}.py` | {len(study.tunings())} | {len(finals)} | '
    assert line in (ROOT / 'docs/study.md').read_text()


@pytest.mark.parametrize(
    ('stage', 'beside', 'methods'),
    [
        ('stage8_4000_6000', 'stage1', 1),
        ('stage8_50000_25000', 'stage3_50000_25000', 1),
        ('stage7_regularised', 'stage7', 4),
        ('stage9_cheaper', 'stage1', 2),
        ('stage9_better', 'stage1', 2),
    ],
)
def test_a_stage_takes_over_the_rows_of_another(stage, beside, methods):
    ours, theirs = (
        {
            (kind, t.name): settings_of(t.settings())
            for kind, trainings in (('tuning', study.tunings()), ('final', finals))
            for t in trainings
        }
        for study, finals in map(read, (stage, beside))
    )
    shared = ours.keys() & theirs.keys()
    # Six points of the grid, and the final run.
    assert len(shared) == 7 * methods
    for key in shared:
        assert ours[key] == theirs[key]
