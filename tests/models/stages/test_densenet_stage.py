import pytest
import torch
from torchvision.models.densenet import _DenseBlock, _Transition

from dhm_plugin import DenseNetStage, DenseNetTransition


def test_bottleneck_layers_are_torchvisions():
    ours = DenseNetStage(8, num_layers=3, growth_rate=4, bottleneck=True).eval()
    theirs = _DenseBlock(
        3, num_input_features=8, bn_size=4, growth_rate=4, drop_rate=0
    ).eval()
    for tensor in theirs.state_dict().values():
        if tensor.is_floating_point():
            torch.nn.init.uniform_(tensor, 0.5, 1.0)
    names = {f'denselayer{i + 1}.': f'{i}.' for i in range(3)}
    parts = {'norm1': 'bn1', 'norm2': 'bn2'}
    weights = {}
    for key, value in theirs.state_dict().items():
        layer, part, rest = key.split('.', 2)
        weights[f'{names[layer + "."]}{parts.get(part, part)}.{rest}'] = value
    ours.load_state_dict(weights)
    x = torch.randn(2, 8, 6, 6)
    torch.testing.assert_close(ours(x), theirs(x))
    assert ours.out_channels == 20


def test_basic_layers():
    stage = DenseNetStage(8, num_layers=2, growth_rate=3).eval()
    x = torch.randn(2, 8, 6, 6)
    first = stage[0].conv(stage[0].bn(x).relu())
    second = stage[1].conv(stage[1].bn(torch.cat((x, first), 1)).relu())
    torch.testing.assert_close(stage(x), torch.cat((x, first, second), 1))
    assert [tuple(layer.conv.weight.shape) for layer in stage] == [
        (3, 8, 3, 3),
        (3, 11, 3, 3),
    ]


def test_transition_is_torchvisions():
    ours, theirs = DenseNetTransition(8, 0.5).eval(), _Transition(8, 4).eval()
    for tensor in theirs.state_dict().values():
        if tensor.is_floating_point():
            torch.nn.init.uniform_(tensor, 0.5, 1.0)
    weights = {k.replace('norm', 'bn'): v for k, v in theirs.state_dict().items()}
    ours.load_state_dict(weights)
    x = torch.randn(2, 8, 6, 6)
    torch.testing.assert_close(ours(x), theirs(x))


def test_refuses():
    with pytest.raises(ValueError, match='num_layers=0; it must be at least 1'):
        DenseNetStage(8, num_layers=0, growth_rate=4)
