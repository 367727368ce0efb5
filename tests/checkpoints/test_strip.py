import pytest
import torch

from dhm_plugin.checkpoints import CheckpointError, strip_side_branches


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
