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


@pytest.mark.parametrize('depth', [2, 21, 28])
def test_refuses(depth):
    with pytest.raises(ValueError, match=rf'depth={depth}; it must be 6n\+2'):
        CIFARResNet(depth=depth)
