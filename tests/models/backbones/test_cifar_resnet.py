import pytest
import torch

from dhm_plugin import CIFARResNet


@pytest.mark.parametrize('depth', [8, 20, 32, 110])
def test_depth_counts_the_weighted_layers(depth):
    convolutions = [
        module
        for module in CIFARResNet(depth=depth).modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    assert len(convolutions) + 1 == depth  # the classifier is the last layer


def test_parameters_of_the_paper():
    # He et al., table 6: ResNet-20 has 0.27 million, ResNet-110 1.7 million.
    classifier = 64 * 10 + 10
    for depth, millions in ((20, 0.27), (32, 0.46), (110, 1.7)):
        number = sum(p.numel() for p in CIFARResNet(depth=depth).parameters())
        assert round((number + classifier) / 1e6, 2 if depth < 100 else 1) == millions


def test_out_indices():
    model = CIFARResNet(depth=8, in_channels=1, out_indices=(0, 2))
    shallow, deep = model(torch.rand(2, 1, 8, 8))
    assert shallow.shape == (2, 16, 8, 8)
    assert deep.shape == (2, 64, 2, 2)


def test_frozen_stages_stay_as_they_are():
    model = CIFARResNet(depth=8, frozen_stages=1).train()
    frozen = {'conv1', 'bn1', 'layer1'}
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (name.split('.')[0] not in frozen)
    assert not model.bn1.training
    assert not model.layer1[0].bn1.training
    assert model.layer2[0].bn1.training


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(depth=21), r'depth=21; it must be 6n\+2'),
        (dict(depth=2), r'depth=2; it must be 6n\+2'),
        (
            dict(depth=20, out_indices=(3,)),
            r'out_indices=\(3,\); there are stages 0 to 2',
        ),
        (dict(depth=20, out_indices=()), r'out_indices=\(\)'),
        (dict(depth=20, frozen_stages=4), 'frozen_stages=4; it must be from -1 to 3'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        CIFARResNet(**settings)
