import pytest
import torch
import torchvision

from dhm_plugin import ResNetStage


@pytest.mark.parametrize(
    ('name', 'block', 'expansion'),
    [('resnet18', 'BasicBlock', 1), ('resnet50', 'Bottleneck', 4)],
)
def test_is_torchvisions_stage(name, block, expansion):
    reference = getattr(torchvision.models, name)().layer3
    stage = ResNetStage(
        128 * expansion, 256 * expansion, len(reference), block=block, stride=2
    )
    stage.load_state_dict(reference.state_dict())
    x = torch.rand(2, 128 * expansion, 6, 6)
    torch.testing.assert_close(stage.eval()(x), reference.eval()(x))
    assert (stage.in_channels, stage.out_channels) == (128 * expansion, 256 * expansion)


@pytest.mark.parametrize('block', ['BasicBlock', 'Bottleneck'])
@pytest.mark.parametrize('options', [{}, {'zero_init_residual': False}])
def test_zero_init_residual(block, options):
    stage = ResNetStage(8, 8, 2, block, 1, **options)
    stage.init_weights()
    x = torch.rand(1, 8, 4, 4)
    assert torch.equal(stage(x), x) == (not options)


def test_other_norms():
    stage = ResNetStage(8, 16, 2, norm_cfg=dict(type='GN', num_groups=2))
    norms = [m for m in stage.modules() if isinstance(m, torch.nn.GroupNorm)]
    assert len(norms) == 5
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in stage.modules())


def test_refuses():
    with pytest.raises(ValueError, match="block='Block'; it must be one of"):
        ResNetStage(8, 16, 1, block='Block')
    with pytest.raises(ValueError, match='num_blocks=0; it must be at least 1'):
        ResNetStage(8, 16, 0)
