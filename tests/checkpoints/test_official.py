import pytest
import torch
from paths import ROOT

from dhm_plugin.checkpoints import CheckpointError, official_names, official_to_dhm
from dhm_plugin.checkpoints.official import build_without_weights

DEPTHS = (18, 34, 50, 101, 152)


def official_weights(model):
    """A checkpoint as the authors' code would have saved this model."""
    names = official_names(model)
    return {names[key]: value for key, value in model.state_dict().items()}


@pytest.mark.parametrize('depth', DEPTHS)
def test_finds_every_architecture(depth):
    config = f'resnet{depth}_dhm_8xb32_in1k'
    model = build_without_weights(ROOT / 'configs' / 'dhm' / f'{config}.py', 1000)
    name, converted = official_to_dhm(official_weights(model))
    assert name == config
    expected = model.state_dict()
    assert list(converted) == list(expected)
    for key, value in converted.items():
        assert value.shape == expected[key].shape


def test_the_weights_stay_as_they_are(build):
    model = build('dhm/resnet18_dhm_8xb32_in1k.py', **{'model.head.num_classes': 7})
    _, converted = official_to_dhm(official_weights(model))
    for key, value in model.state_dict().items():
        assert torch.equal(converted[key], value)


def test_names_the_nearest_and_the_first_difference(build):
    model = build('dhm/resnet50_dhm_8xb32_in1k.py')
    weights = official_weights(model)
    del weights['layer3_head2.2.conv1.weight']
    weights['conv1.weight'] = torch.empty(64, 1, 7, 7)
    message = (
        r'nearest is resnet50_dhm_8xb32_in1k, from which 2 keys differ: '
        r'conv1.weight: \(64, 1, 7, 7\), it must be \(64, 3, 7, 7\), '
        r'layer3_head2.2.conv1.weight: missing, it must be \(256, 1024, 1, 1\)'
    )
    with pytest.raises(CheckpointError, match=message):
        official_to_dhm(weights)


def test_refuses_a_plain_network(build):
    model = build('plain/resnet18_8xb32_in1k.py')
    weights = {
        key.replace('backbone.', '').replace('head.', ''): value
        for key, value in model.state_dict().items()
    }
    with pytest.raises(CheckpointError, match=r'nearest is resnet18.*fc_head1.bias'):
        official_to_dhm(weights)


def test_refuses_what_is_no_network():
    with pytest.raises(CheckpointError, match='none of the authors'):
        official_to_dhm({'weight': torch.ones(1)})
