import pytest
import torch

from dhm_plugin import CIFARResNetStage


def test_shortcut_pools_and_adds_zero_channels():
    stage = CIFARResNetStage(4, 8, num_blocks=1, stride=2).eval()
    for parameter in stage.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.rand(2, 4, 6, 6)
    expected = torch.zeros(2, 8, 3, 3)
    for row in range(3):
        for column in range(3):
            window = x[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            expected[:, :4, row, column] = window.mean(dim=(2, 3))
    torch.testing.assert_close(stage(x), expected)


def test_odd_maps():
    assert CIFARResNetStage(4, 8, num_blocks=2)(torch.rand(2, 4, 7, 5)).shape[2:] == (
        4,
        3,
    )


def test_shortcut_has_no_parameters():
    stage = CIFARResNetStage(4, 8, num_blocks=3)
    names = {name.split('.')[1] for name, _ in stage.named_parameters()}
    assert names == {'conv1', 'bn1', 'conv2', 'bn2'}
    assert len(stage) == 3


@pytest.mark.parametrize(('channels', 'stride'), [(4, 2), (8, 1)])
def test_shortcut_of_the_stride_or_the_width_alone(channels, stride):
    stage = CIFARResNetStage(4, channels, num_blocks=1, stride=stride)
    side = 6 // stride
    assert stage(torch.rand(2, 4, 6, 6)).shape == (2, channels, side, side)


def test_refuses():
    with pytest.raises(ValueError, match='out_channels=4 is less than in_channels=8'):
        CIFARResNetStage(8, 4, 1)
    with pytest.raises(ValueError, match='num_blocks=0; it must be at least 1'):
        CIFARResNetStage(8, 16, 0)
