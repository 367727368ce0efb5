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
    sides = {k: v for k, v in dhm.state_dict().items() if k.startswith('side_branches.')}
    with pytest.raises(CheckpointError, match='no main branch: backbone'):
        strip_side_branches(sides)


def test_refuses(build):
    plain = build('plain/resnet20_1xb64_digits.py').state_dict()
    with pytest.raises(CheckpointError, match='it has no side branches'):
        strip_side_branches(plain)
    dhm = build('dhm/resnet20_dhm_1xb64_digits.py').state_dict()
    del dhm['head.fc.weight']
    with pytest.raises(CheckpointError, match=r'head.fc.weight is missing'):
        strip_side_branches(dhm)
