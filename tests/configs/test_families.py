"""The configs of the trainings over stock networks."""

import pytest
import torch
from mmengine import Config
from mmpretrain.registry import MODELS

from dhm_plugin import DHMClassifier
from paths import ROOT

FAMILIES = ROOT / 'configs/studies/families'
NAMES = ('resnet18-w32', 'repvgg-a0-w32', 'regnetx-400mf')


def model_of(name):
    return MODELS.build(Config.fromfile(FAMILIES / f'{name}_1xb128_fmnist.py').model)


def test_no_config_is_forgotten():
    methods = ('', '_dsl', '_dhm')
    expected = {'base'} | {f'{name}{m}_1xb128_fmnist' for name in NAMES for m in methods}
    assert {path.stem for path in FAMILIES.glob('*.py')} == expected


@pytest.mark.parametrize('name', NAMES)
def test_the_main_branch_is_the_plain_network(name):
    plain, dsl, dhm = (model_of(f'{name}{method}') for method in ('', '_dsl', '_dhm'))
    assert 1e6 < sum(parameter.numel() for parameter in plain.parameters()) < 5e6
    assert dsl.mimicking_loss is None
    assert dhm.mimicking_loss is not None
    images = torch.randn(2, 1, 28, 28)
    for model in (dsl, dhm):
        assert isinstance(model, DHMClassifier)
        assert [logits.shape for logits in model.branch_logits(images)] == [(2, 10)] * 3
        model.switch_to_deploy()
        assert list(model.state_dict()) == list(plain.state_dict())
