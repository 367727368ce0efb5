"""Two processes whose side branches are forked at random, and a training resumed."""

from pathlib import Path

import pytest
import torch

from paths import ROOT

HERE = Path(__file__).parent
FORKED = ROOT / 'configs/ablations/resnet20_dhm-fork0.5_1xb64_digits.py'


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'forked.py'
    path.write_text(
        f"""
_base_ = '{FORKED}'
custom_imports = dict(imports=['dhm_plugin', 'cpu_replicas'])
custom_hooks = [
    dict(type='SaveReplicaHook'),
    dict(type='SaveForksHook'),
    dict(type='BranchScheduleHook', loss_weight=[(0, 0), (1, 2)]),
]
env_cfg = dict(dist_cfg=dict(backend='gloo'))
model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
param_scheduler = []
train_cfg = dict(max_epochs=2)
default_hooks = dict(logger=dict(interval=1))
"""
    )
    return path


PLAIN = """
model = dict(
    _delete_=True,
    type='DHMClassifier',
    backbone=dict(
        type='ResNet_CIFAR', depth=18, in_channels=1, base_channels=4, stem_channels=4
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=32),
    mimicking_loss=dict(type='MimickingLoss'),
    side_branches=[
        dict(fork='layer2', fork_prob=0.5), dict(fork='layer3', fork_prob=0.5)
    ],
)
"""


@pytest.mark.parametrize('model', ['', PLAIN])
def test_two_processes(model, config, two_processes, tmp_path):
    config.write_text(config.read_text() + model)
    output = two_processes(
        *(ROOT / 'tools/train.py', config, '--work-dir', tmp_path),
        *('--cfg-options', 'randomness.diff_rank_seed=True'),
        env=dict(PYTHONPATH=f'{ROOT}:{HERE}'),
    )
    assert 'find_unused_parameters' not in output
    first, second = (
        torch.load(tmp_path / f'after_{rank}.pth', weights_only=True) for rank in (0, 1)
    )
    assert any('side_' in key for key in first)
    for key, value in first.items():
        assert torch.equal(value, second[key]), key
    # Averaged gradients make the replicas equal whatever each of them forks.
    forks = [torch.load(tmp_path / f'forks_{rank}.pth') for rank in (0, 1)]
    assert forks[0] == forks[1]
    assert len({tuple(choice) for choice in forks[0]}) == 4


def test_a_resumed_training_forks_as_the_unbroken_one(config, python, tmp_path):
    env = dict(PYTHONPATH=f'{ROOT}:{HERE}')
    train = (ROOT / 'tools/train.py', config, '--cfg-options', 'custom_hooks=[]')
    python(*train, '--work-dir', tmp_path / 'unbroken', env=env)
    broken = (*train[:2], '--work-dir', tmp_path / 'broken', *train[2:])
    python(*broken, 'train_cfg.max_epochs=1', env=env)
    python(*broken, '--resume', env=env)
    unbroken, resumed = (
        torch.load(tmp_path / name / 'epoch_2.pth', weights_only=True)['state_dict']
        for name in ('unbroken', 'broken')
    )
    for key, value in unbroken.items():
        assert torch.equal(value, resumed[key]), key
