import pytest
import torch

from dhm_plugin import CIFARWideResNet


@pytest.mark.parametrize(
    ('depth', 'widen_factor', 'millions'), [(16, 8, 11.0), (28, 10, 36.5)]
)
def test_parameters_of_the_paper(depth, widen_factor, millions):
    # Zagoruyko & Komodakis, table 4 and the models they publish: with the classifier.
    with torch.device('meta'):
        model = CIFARWideResNet(depth=depth, widen_factor=widen_factor)
    classifier = 64 * widen_factor * 10 + 10
    number = sum(p.numel() for p in model.parameters())
    assert round((number + classifier) / 1e6, 1) == millions


def test_dropout_reaches_every_block():
    model = CIFARWideResNet(depth=16, widen_factor=1, dropout=0.3)
    assert [block.dropout for i in range(3) for block in model.stage(i)[0]] == [0.3] * 6


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(depth=18, widen_factor=8), r'depth=18; it must be 6n\+4'),
        (dict(depth=4, widen_factor=8), r'depth=4; it must be 6n\+4'),
        (dict(depth=16, widen_factor=0), 'widen_factor=0; it must be at least 1'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        CIFARWideResNet(**settings)
