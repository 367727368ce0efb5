import functools
import json
from unittest import mock

import pytest
import torch
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from dhm_plugin.checkpoints import (
    CheckpointError,
    dhm_to_official,
    official_names,
    official_to_dhm,
)
from dhm_plugin.checkpoints import official as official_module
from dhm_plugin.checkpoints.official import build_without_weights
from paths import ROOT

# Blocks of the main branch; of the branch forked after stage 2; of that after stage 3.
ARCHITECTURES = {
    18: (BasicBlock, (2, 2, 2, 2), (1, 2), 2),
    34: (BasicBlock, (3, 4, 6, 3), (3, 2), 3),
    50: (Bottleneck, (3, 4, 6, 3), (3, 2), 3),
    101: (Bottleneck, (3, 4, 23, 3), (12, 2), 3),
    152: (Bottleneck, (3, 8, 36, 3), (18, 2), 3),
}


REFERENCES = {
    'resnet18': 'resnet18_dhm_8xb32_in1k',
    'resnet50': 'resnet50_dhm_8xb32_in1k',
    'cifar_resnet32': 'resnet32_dhm_1xb128_cifar100',
    'cifar_wrn_16_8': 'wrn16-8_dhm_1xb128_cifar100',
    'cifar_densenet_40_12': 'densenet40-12_dhm_1xb64_cifar100',
    'cifar_densenet_bc_100_12': 'densenet-bc100-12_dhm_1xb64_cifar100',
}
CIFAR = sorted(path.stem for path in official_module.CONFIGS.glob('*_cifar10.py'))


@pytest.fixture(scope='module', autouse=True)
def _every_network_is_built_once():
    build = functools.cache(build_without_weights)
    with mock.patch.object(official_module, 'build_without_weights', build):
        yield


def official_weights(depth, classes=1000):
    """The authors' keys and shapes, by torchvision's network and their names."""
    block, main, (first, second), deep = ARCHITECTURES[depth]
    with torch.device('meta'):
        model = ResNet(block, main, num_classes=classes)
        parts = {'': model}
        model.inplanes = 128 * block.expansion
        parts['layer3_head2.'] = model._make_layer(block, 256, first, stride=2)
        parts['layer4_head2.'] = model._make_layer(block, 512, second, stride=2)
        parts['fc_head2.'] = torch.nn.Linear(model.inplanes, classes)
        model.inplanes = 256 * block.expansion
        parts['layer4_head1.'] = model._make_layer(block, 1024, deep, stride=2)
        parts['fc_head1.'] = torch.nn.Linear(model.inplanes, classes)
    return {
        prefix + key: value
        for prefix, part in parts.items()
        for key, value in part.state_dict().items()
    }


@pytest.mark.one_stack
@pytest.mark.parametrize('arch', REFERENCES)
def test_the_authors_names_and_order(arch):
    """The keys of the authors' code, which the reference values come with."""
    keys = json.loads((ROOT / f'tests/data/{arch}.keys.json').read_text())
    weights = {key: torch.empty(shape, device='meta') for key, shape in keys.items()}
    name, converted = official_to_dhm(weights)
    assert name == REFERENCES[arch]
    back, official = dhm_to_official(converted)
    assert back == name
    assert list(official) == list(keys)
    assert all(official[key] is weights[key] for key in keys)


@pytest.mark.one_stack
@pytest.mark.parametrize('depth', ARCHITECTURES)
def test_finds_every_architecture(depth):
    weights = official_weights(depth, classes=7)
    name, converted = official_to_dhm(weights)
    assert name == f'resnet{depth}_dhm_8xb32_in1k'
    assert len(converted) == len(weights)
    for theirs, ours in {
        'conv1.weight': 'backbone.conv1.weight',
        'layer4.1.bn2.running_var': 'backbone.layer4.1.bn2.running_var',
        'fc.bias': 'head.fc.bias',
        'layer3_head2.0.downsample.0.weight': 'neck.branches.0.0.0.downsample.0.weight',
        'layer4_head2.1.conv2.weight': 'neck.branches.0.1.1.conv2.weight',
        'fc_head2.weight': 'head.side_fcs.0.weight',
        'layer4_head1.1.bn1.bias': 'neck.branches.1.0.1.bn1.bias',
        'fc_head1.bias': 'head.side_fcs.1.bias',
    }.items():
        assert converted[ours] is weights[theirs]
    name, back = dhm_to_official(converted)
    assert name == f'resnet{depth}_dhm_8xb32_in1k'
    assert back == weights


@pytest.mark.one_stack
@pytest.mark.parametrize('config', CIFAR)
def test_every_cifar_architecture_in_and_out(config):
    model = build_without_weights(official_module.CONFIGS / f'{config}.py', 10)
    weights = model.state_dict()
    name, official = dhm_to_official(weights)
    assert name == config
    name, ours = official_to_dhm(official)
    assert name == config
    assert set(ours) == set(weights)
    assert all(ours[key] is weights[key] for key in weights)


def test_the_weights_load_as_they_are(build):
    model = build('dhm/resnet18_dhm_8xb32_in1k.py', **{'model.head.num_classes': 7})
    names = official_names(model)
    weights = {names[key]: value for key, value in model.state_dict().items()}
    _, converted = official_to_dhm(weights)
    other = build('dhm/resnet18_dhm_8xb32_in1k.py', **{'model.head.num_classes': 7})
    other.load_state_dict(converted)
    for key, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[key], value)


@pytest.mark.one_stack
def test_names_the_nearest_and_the_first_difference():
    weights = official_weights(50)
    del weights['layer3_head2.2.conv1.weight']
    weights['conv1.weight'] = torch.empty(64, 1, 7, 7)
    message = (
        r'nearest is resnet50_dhm_8xb32_in1k, from which 2 keys differ: '
        r'conv1.weight is \(64, 1, 7, 7\), it must be \(64, 3, 7, 7\); '
        r'layer3_head2.2.conv1.weight is missing, it must be \(256, 1024, 1, 1\)'
    )
    with pytest.raises(CheckpointError, match=message):
        official_to_dhm(weights)


@pytest.mark.one_stack
def test_refuses_a_plain_network():
    plain = {k: v for k, v in official_weights(18).items() if 'head' not in k}
    with pytest.raises(CheckpointError, match=r'nearest is resnet18.*layer3_head2.0'):
        official_to_dhm(plain)


@pytest.mark.one_stack
@pytest.mark.parametrize(
    'weights',
    [
        {'weight': torch.ones(1)},
        {'fc.weight': torch.tensor(1.0)},
        {'fc.weight': torch.ones(0, 5)},
    ],
)
def test_refuses_what_is_no_network(weights):
    with pytest.raises(CheckpointError, match='none of the authors'):
        official_to_dhm(weights)


def test_says_where_the_configs_should_be(monkeypatch, tmp_path):
    monkeypatch.setattr(official_module, 'CONFIGS', tmp_path)
    with pytest.raises(CheckpointError, match=f'are not in {tmp_path}; install dhm_'):
        official_to_dhm({'weight': torch.ones(1)})


def test_tells_the_direction():
    weights = official_weights(18)
    _, ours = official_to_dhm(weights)
    with pytest.raises(CheckpointError, match=r'its keys are ours already; .* --reverse'):
        official_to_dhm(ours)
    with pytest.raises(CheckpointError, match=r"its keys are the authors'; .* without"):
        dhm_to_official(weights)
