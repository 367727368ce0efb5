"""The configs of the map: one network, its side branches, the methods and the images."""

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS

from dhm_plugin.checkpoints.compare import differing_weights
from paths import ROOT

MAP = ROOT / 'configs/studies/map'
PLAIN = MAP / 'resnet8_1xb64_fmnist.py'
OTHERS = sorted(MAP.glob('resnet8_d*_1xb64_fmnist.py'))


def test_there_are_five_methods():
    assert len(OTHERS) == 4
    losses = {}
    for config in OTHERS:
        cfg = Config.fromfile(config)
        loss = cfg.model.head.mimicking_loss
        probs = [branch.get('fork_prob', 1) for branch in cfg.model.neck.branches]
        pairs = loss and (loss.get('students', 'all'), loss.get('teachers', 'all'))
        losses[config.stem.split('_')[1]] = (pairs, probs)
    assert losses == {
        'dsl': (None, [1, 1]),
        'dhm': (('all', 'all'), [1, 1]),
        'dhm-fork0.5': (('all', 'all'), [0.5, 0.5]),
        'dhm-main-teaches': (('side', 'main'), [1, 1]),
    }


@pytest.mark.parametrize('config', OTHERS, ids=lambda path: path.stem)
def test_without_side_branches_it_is_the_plain_network(config, build):
    plain, other = (build(path.relative_to(ROOT / 'configs')) for path in (PLAIN, config))
    stages = [
        [(stage.in_channels, stage.out_channels, len(stage)) for stage in branch]
        for branch in other.neck.branches
    ]
    assert stages == [[(16, 32, 1), (32, 64, 1)], [(32, 128, 1)]]
    other.switch_to_deploy()
    assert differing_weights(other.state_dict(), plain.state_dict()) == []
    other.load_state_dict(plain.state_dict())
    images = torch.rand(2, 1, 28, 28)
    assert torch.equal(plain.eval()(images), other.eval()(images))


def test_whatever_is_no_part_of_the_network_is_the_same():
    for config in OTHERS:
        ours, theirs = (Config.fromfile(path).to_dict() for path in (PLAIN, config))
        for name in theirs.keys() - {'model', 'stage', 'branches'}:
            assert ours[name] == theirs[name], name


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


@pytest.mark.parametrize('config', [PLAIN, *OTHERS], ids=lambda path: path.stem)
def test_it_trains(config, fashion_mnist, tmp_path):
    cfg = Config.fromfile(config)
    for loader in (cfg.train_dataloader.dataset, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(fashion_mnist)
    cfg.merge_from_dict(
        {
            'train_cfg.max_iters': 2,
            'train_cfg.val_interval': 3,
            'default_hooks.logger.interval': 1,
            'param_scheduler': [],
            'work_dir': str(tmp_path / 'run'),
            'experiment_name': f'{config.stem}_trains',
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
