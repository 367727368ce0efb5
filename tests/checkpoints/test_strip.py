import pytest
import torch
from mmpretrain.registry import MODELS

from dhm_plugin.checkpoints import CheckpointError, strip_side_branches
from models.side_branches.families import build as build_family
from models.side_branches.families import config_of, plain_config_of


def test_leaves_the_plain_network(build):
    dhm = build('dhm/resnet20_dhm_1xb64_digits.py')
    plain = build('plain/resnet20_1xb64_digits.py')
    stripped = strip_side_branches(dhm.state_dict())
    assert list(stripped) == list(plain.state_dict())
    plain.load_state_dict(stripped)
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(plain.eval()(images), dhm.eval()(images))


def test_refuses(build):
    plain = build('plain/resnet20_1xb64_digits.py').state_dict()
    with pytest.raises(CheckpointError, match='it has no side branches'):
        strip_side_branches(plain)
    dhm = build('dhm/resnet20_dhm_1xb64_digits.py').state_dict()
    del dhm['head.fc.weight']
    with pytest.raises(CheckpointError, match=r'head.fc.weight is missing'):
        strip_side_branches(dhm)


def test_a_plain_config(tmp_path):
    """Its head may have any keys, as a DeiT's, or none, as a VGG's."""
    model = build_family(config_of('DeiT', tmp_path))
    plain = MODELS.build(plain_config_of('DeiT', tmp_path).model)
    weights = model.state_dict()
    stripped = strip_side_branches(weights)
    assert list(stripped) == list(plain.state_dict())
    assert 'head.fc.weight' not in stripped
    sides = {k: v for k, v in weights.items() if k.startswith('side_branches.')}
    with pytest.raises(CheckpointError, match=r'backbone\. is missing'):
        strip_side_branches(sides)
