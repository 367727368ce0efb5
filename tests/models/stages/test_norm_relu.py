import torch

from dhm_plugin import NormReLU


def test_norm_then_relu():
    stage = NormReLU(4)
    x = torch.randn(2, 4, 6, 6)
    expected = torch.nn.BatchNorm2d(4)(x).relu()
    torch.testing.assert_close(stage(x), expected)
    assert stage.in_channels == stage.out_channels == 4


def test_other_norms():
    stage = NormReLU(4, norm_cfg=dict(type='GN', num_groups=2))
    assert isinstance(stage.bn, torch.nn.GroupNorm)
