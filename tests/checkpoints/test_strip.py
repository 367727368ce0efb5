import re

import pytest
import torch
from mmpretrain.registry import MODELS

from dhm_plugin.checkpoints import CheckpointError, strip_side_branches
from families import config_of, plain_config_of


def test_leaves_the_plain_network(build):
    dhm = build('dhm/resnet20_dhm_1xb64_digits.py')
    plain = build('plain/resnet20_1xb64_digits.py')
    stripped = strip_side_branches(dhm.state_dict())
    assert list(stripped) == list(plain.state_dict())
    plain.load_state_dict(stripped)
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(plain.eval()(images), dhm.eval()(images))


@pytest.mark.parametrize('family', ['MobileNetV3', 'VGG'])
def test_of_a_stock_config_whose_head_has_other_keys(family):
    dhm = MODELS.build(config_of(family).model)
    plain = MODELS.build(plain_config_of(family).model)
    stripped = strip_side_branches(dhm.state_dict())
    assert list(stripped) == list(plain.state_dict())


@pytest.mark.one_stack
@pytest.mark.parametrize(
    ('family', 'missing'),
    [
        ('MobileNetV3', r'head\.layers\.0\.fc\.weight'),
        ('MobileNetV3', r'backbone\.layer12\.conv\.weight'),
        ('VGG', r'backbone\.features\.'),
    ],
)
def test_refuses_a_part_of_a_main_branch(family, missing):
    weights = MODELS.build(config_of(family).model).state_dict()
    without = {k: v for k, v in weights.items() if not re.match(missing, k)}
    with pytest.raises(CheckpointError, match=f'main branch are missing {missing}'):
        strip_side_branches(without)


def test_refuses(build):
    plain = build('plain/resnet20_1xb64_digits.py').state_dict()
    with pytest.raises(CheckpointError, match='it has no side branches'):
        strip_side_branches(plain)
    dhm = build('dhm/resnet20_dhm_1xb64_digits.py').state_dict()
    del dhm['head.fc.weight']
    with pytest.raises(CheckpointError, match=r'are missing head\.fc\.weight$'):
        strip_side_branches(dhm)
