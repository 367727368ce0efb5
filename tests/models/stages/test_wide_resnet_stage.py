import pytest
import torch
import torch.nn.functional as F

from dhm_plugin import WideResNetStage


def batch_norm(x, weights, prefix):
    names = ('running_mean', 'running_var', 'weight', 'bias')
    return F.batch_norm(x, *(weights[f'{prefix}.{name}'] for name in names))


def test_by_hand():
    """Pre-activation; a shortcut convolution sees the activated map too."""
    stage = WideResNetStage(4, 8, num_blocks=2).eval()
    for name, tensor in stage.state_dict().items():
        if tensor.is_floating_point():
            torch.nn.init.uniform_(tensor, 0.5 if 'var' in name else -0.5, 1.0)
    weights = stage.state_dict()
    x = torch.randn(2, 4, 6, 6)
    out = x
    for i, stride in enumerate((2, 1)):
        first = F.relu(batch_norm(out, weights, f'{i}.bn1'))
        second = F.conv2d(first, weights[f'{i}.conv1.weight'], stride=stride, padding=1)
        second = F.relu(batch_norm(second, weights, f'{i}.bn2'))
        second = F.conv2d(second, weights[f'{i}.conv2.weight'], padding=1)
        if i == 0:
            out = F.conv2d(first, weights['0.shortcut.weight'], stride=2)
        out = out + second
    torch.testing.assert_close(stage(x), out)


def test_dropout_is_really_applied_and_only_in_training():
    stage = WideResNetStage(4, 4, num_blocks=1, stride=1, dropout=0.5)
    x = torch.randn(2, 4, 6, 6)
    with torch.no_grad():
        assert not torch.equal(stage(x), stage(x))
        stage.eval()
        assert torch.equal(stage(x), stage(x))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(num_blocks=0), 'num_blocks=0; it must be at least 1'),
        (dict(num_blocks=1, dropout=1.0), r'dropout=1.0; it must be from 0 to less'),
    ],
)
def test_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        WideResNetStage(4, 8, **settings)
