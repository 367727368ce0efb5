"""The blocks that a side branch has fewer of."""

from collections import OrderedDict

import torch
from torch import nn

from dhm_plugin.models.side_branches.blocks import blocks_left_out, is_led, same_blocks
from dhm_plugin.models.side_branches.calls import calls_of


class Block(nn.Module):
    """Two convolutions; with a stride of 2 it changes the shape."""

    def __init__(self, channels, stride=1):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, stride, 1)
        self.second = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        return self.second(self.first(x))


def network(*numbers):
    """Stages of so many blocks, of which the first one strides."""
    return nn.Sequential(
        *(
            nn.Sequential(*(Block(4, 2 if i == 0 else 1) for i in range(number)))
            for number in numbers
        )
    )


def calls_in(model):
    return calls_of(model, lambda: model(torch.randn(1, 4, 32, 32)))[0]


def test_blocks_that_are_alike():
    calls = calls_in(network(3, 2))
    # A convolution is no block, and what strides is not like what keeps the shape.
    assert same_blocks(calls) == [['0.1', '0.2'], ['1.1']]
    assert is_led('0.1', calls)
    assert is_led('1.1', calls)
    assert not is_led('0.2', calls)
    assert not is_led('0.0', calls)


def test_layers_are_no_blocks():
    convs = (nn.Conv2d(4, 4, 1) for _ in range(3))
    assert same_blocks(calls_in(nn.Sequential(*convs))) == []


def test_numbered_layers_are():
    layers = OrderedDict(layer0=Block(4), layer1=Block(4))
    assert same_blocks(calls_in(nn.Sequential(layers))) == [['layer0', 'layer1']]


def test_a_stage_that_looks_like_a_block_is_none():
    stages = nn.Sequential(Block(4, 2), Block(4)), nn.Sequential(Block(4), Block(4))
    calls = calls_in(nn.Sequential(*stages))
    assert same_blocks(calls) == [['1.0', '1.1'], ['0.1']]


def test_a_single_block_that_follows_none_like_it_is_none():
    model = nn.Sequential(nn.Conv2d(4, 4, 1), Block(4), nn.ReLU())
    assert same_blocks(calls_in(model)) == []


def test_blocks_within_blocks_stay_whole():
    inner = [nn.Sequential(Block(4), Block(4)) for _ in range(2)]
    assert same_blocks(calls_in(nn.Sequential(*inner))) == [['0', '1']]


def test_half_of_a_stage_is_left_out():
    # Behind the first stage: of 5 blocks 3 stay, of 4 blocks 2, of 1 block 1.
    calls = calls_in(network(2, 5, 4, 1))
    assert blocks_left_out(calls, '0') == ['1.3', '1.4', '2.2', '2.3']
    assert blocks_left_out(calls, '1') == ['2.2', '2.3']
    assert blocks_left_out(calls, '2') == []
    # In the midst of a stage: of the 3 blocks behind the fork one.
    assert blocks_left_out(calls, '1.1') == ['1.4', '2.2', '2.3']
