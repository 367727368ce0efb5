"""The configs of the trainings over stock networks."""

import pytest
import torch
from mmengine import Config
from mmpretrain.registry import MODELS

from dhm_plugin import DHMClassifier
from paths import ROOT

FAMILIES = ROOT / 'configs/studies/families'
NAMES = ('resnet18-w32', 'resnetv1d18-w32', 'regnetx-400mf', 'repvgg-a0-w32')
METHODS = ('', '_dsl', '_dhm')


def file_of(name, method):
    return FAMILIES / f'{name}{method}_1xb64_fmnist.py'


def test_no_config_is_forgotten():
    files = {file_of(name, method) for name in NAMES for method in METHODS}
    assert {*FAMILIES.glob('*.py')} == files | {FAMILIES / 'base.py'}


@pytest.mark.parametrize('name', NAMES)
def test_the_main_branch_is_the_plain_network(name):
    configs = (Config.fromfile(file_of(name, method)) for method in METHODS)
    plain, dsl, dhm = (MODELS.build(cfg.model) for cfg in configs)
    assert 1e6 < sum(parameter.numel() for parameter in plain.parameters()) < 5e6
    assert dsl.mimicking_loss is None
    assert dhm.mimicking_loss is not None
    images = torch.randn(2, 1, 28, 28)
    for model in (dsl, dhm):
        assert isinstance(model, DHMClassifier)
        assert [logits.shape for logits in model.branch_logits(images)] == [(2, 10)] * 3
        model.switch_to_deploy()
        assert list(model.state_dict()) == list(plain.state_dict())
