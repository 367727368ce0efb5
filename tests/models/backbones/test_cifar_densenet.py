import pytest
import torch

from dhm_plugin import CIFARDenseNet


@pytest.mark.parametrize(
    ('depth', 'growth_rate', 'bottleneck', 'millions'),
    [
        (40, 12, False, 1.0),
        (100, 12, False, 7.0),
        (100, 24, False, 27.2),
        (100, 12, True, 0.8),
        (250, 24, True, 15.3),
        (190, 40, True, 25.6),
    ],
)
def test_parameters_of_the_paper(depth, growth_rate, bottleneck, millions):
    # Huang et al., table 2.
    with torch.device('meta'):
        model = CIFARDenseNet(depth, growth_rate, bottleneck)
    classifier = model.norm.out_channels * 10 + 10
    number = sum(p.numel() for p in model.parameters())
    assert round((number + classifier) / 1e6, 1) == millions


@pytest.mark.parametrize(
    ('depth', 'bottleneck', 'formula'),
    [
        (41, False, r'3n\+4'),
        (4, False, r'3n\+4'),
        (40 + 3, True, r'6n\+4'),
        (4, True, r'6n\+4'),
    ],
)
def test_refuses(depth, bottleneck, formula):
    with pytest.raises(ValueError, match=f'depth={depth}; it must be {formula}'):
        CIFARDenseNet(depth, 12, bottleneck)
