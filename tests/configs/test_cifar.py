"""The configs of the CIFAR table, against the paper's numbers of blocks and recipes."""

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.optim import MultiStepLR
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from dhm_plugin.checkpoints.official import build_without_weights
from paths import ROOT

CONFIGS = ROOT / 'configs'
# Blocks or layers: forked after stage 1, two stages; forked after stage 2, one stage.
BLOCKS = {
    'resnet32': (5, 3, 5),
    'resnet110': (9, 9, 18),
    'resnet1202': (100, 100, 200),
    'wrn16-8': (2, 1, 2),
    'wrn28-10': (4, 2, 4),
    'densenet40-12': (12, 6, 12),
    'densenet100-12': (16, 16, 32),
    'densenet100-24': (16, 16, 32),
    'densenet-bc100-12': (16, 16, 32),
    'densenet-bc250-24': (22, 22, 41),
    'densenet-bc190-40': (16, 16, 31),
}
GIANTS = ('resnet1202', 'densenet-bc190-40')
METHODS = ('plain', 'dsl', 'dhm')
DATASETS = {'cifar100': 100, 'cifar10': 10}
# Batch, weight decay, and the factor of the rate in every epoch.
RECIPES = {
    'resnet': (128, 1e-4, [1] * 81 + [0.1] * 41 + [0.01] * 42),
    'wrn': (128, 5e-4, [1] * 60 + [0.2] * 60 + [0.04] * 40 + [0.008] * 40),
    'densenet': (64, 1e-4, [1] * 150 + [0.1] * 75 + [0.01] * 75),
}
EVERY = pytest.mark.parametrize('arch', BLOCKS)


def family(arch):
    return next(name for name in RECIPES if arch.startswith(name))


def path_of(arch, method, dataset):
    batch = RECIPES[family(arch)][0]
    method_name = '' if method == 'plain' else f'_{method}'
    return CONFIGS / method / f'{arch}{method_name}_1xb{batch}_{dataset}.py'


@pytest.mark.one_stack
@EVERY
def test_side_branches(arch):
    model = build_without_weights(path_of(arch, 'dhm', 'cifar100'), 100)
    stages = [stage for branch in model.neck.branches for stage in branch]
    assert (
        tuple(len(stage) for stage in stages if hasattr(stage, '__len__')) == BLOCKS[arch]
    )
    kinds = [type(stage).__name__ for stage in stages]
    if family(arch) == 'resnet':
        assert kinds == ['CIFARResNetStage'] * 3
        assert stages[-1].out_channels == 128
    elif family(arch) == 'wrn':
        assert kinds == ['WideResNetStage'] * 2 + [
            'NormReLU',
            'WideResNetStage',
            'NormReLU',
        ]
        assert stages[-1].out_channels == 128 * model.backbone.layer1.out_channels // 16
    else:
        assert kinds == [
            *('DenseNetStage', 'DenseNetTransition', 'DenseNetStage', 'NormReLU'),
            *('DenseNetStage', 'NormReLU'),
        ]
        growth = [stages[i].out_channels - stages[i].in_channels for i in (0, 4)]
        assert growth[1] / BLOCKS[arch][2] == 3 * growth[0] / BLOCKS[arch][0]


def test_dropout_of_wrn_28_10_alone():
    for arch, dropout in (('wrn28-10', 0.3), ('wrn16-8', 0.0)):
        model = build_without_weights(path_of(arch, 'dhm', 'cifar100'), 100)
        blocks = [m for m in model.modules() if type(m).__name__ == 'WideBasicBlock']
        assert {block.dropout for block in blocks} == {dropout}


@pytest.mark.one_stack
@EVERY
@pytest.mark.parametrize('dataset', DATASETS)
@pytest.mark.parametrize('method', METHODS)
def test_recipe(arch, dataset, method):
    cfg = Config.fromfile(path_of(arch, method, dataset))
    batch, weight_decay, factors = RECIPES[family(arch)]
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == batch
    assert cfg.model.head.num_classes == cfg.data_preprocessor.num_classes
    assert cfg.data_preprocessor.num_classes == DATASETS[dataset]
    assert cfg.train_dataloader.dataset.type == 'InMemoryDataset'
    assert cfg.train_dataloader.dataset.dataset.type == dataset.upper()
    assert cfg.val_dataloader.dataset.split == 'test'
    optimizer = dict(cfg.optim_wrapper.optimizer)
    assert optimizer.pop('fused')
    assert optimizer == dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=weight_decay)
    sgd = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    scheduler = dict(cfg.param_scheduler)
    assert scheduler.pop('type') == 'MultiStepLR'
    scheduler = MultiStepLR(sgd, **scheduler)
    rates = []
    for _ in range(cfg.train_cfg.max_epochs):
        rates.append(sgd.param_groups[0]['lr'])
        scheduler.step()
    np.testing.assert_allclose(rates, 0.1 * np.array(factors))


@pytest.mark.one_stack
@pytest.mark.parametrize('arch', [arch for arch in BLOCKS if arch not in GIANTS])
@pytest.mark.parametrize('method', METHODS)
def test_trains_a_step(arch, method):
    model = MODELS.build(Config.fromfile(path_of(arch, method, 'cifar10')).model)
    samples = [DataSample().set_gt_label(i) for i in range(2)]
    losses = model(torch.randn(2, 3, 8, 8), samples, mode='loss')
    number = {'plain': 1, 'dsl': 3, 'dhm': 6}[method]
    assert len(losses) == number
    model.parse_losses(losses)[0].backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.one_stack
@pytest.mark.parametrize('arch', GIANTS)
def test_giants_run(arch):
    model = MODELS.build(Config.fromfile(path_of(arch, 'dhm', 'cifar10')).model)
    with torch.no_grad():
        logits = model.eval().branch_logits(torch.randn(1, 3, 8, 8))
    assert [z.shape for z in logits] == [(1, 10)] * 3
    assert model.backbone.layer1.with_cp == (arch == 'densenet-bc190-40')
    for method in ('plain', 'dsl'):
        for dataset in DATASETS:
            assert path_of(arch, method, dataset).is_file()
