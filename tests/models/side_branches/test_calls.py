"""What a network calls, in order."""

import pytest
import torch
from torch import nn

from dhm_plugin.models.side_branches.calls import (
    calls_of,
    calls_until,
    children_within,
    is_inside,
)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True)) for _ in range(2)
        )
        self.norm = nn.BatchNorm2d(4)
        self.pair = Pair()

    def forward(self, x):
        x = self.stem(x)
        x = self.stages[0](x)
        x = self.norm(self.stages[1](x))
        return self.pair(x, self.norm(x))


class Pair(nn.Module):
    def forward(self, a, b):
        return a + b, b


def recorded():
    network = Network()
    calls, output = calls_of(network, lambda: network(torch.randn(2, 3, 8, 6)))
    assert len(output) == 2
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    return calls


def test_calls_in_the_order_in_which_they_end():
    calls = recorded()
    assert [(call.name, call.depth) for call in calls] == [
        ('stem', 0),
        ('stages.0.0', 1),
        ('stages.0.1', 1),
        ('stages.0', 0),
        ('stages.1.0', 1),
        ('stages.1.1', 1),
        ('stages.1', 0),
        ('norm', 0),
        ('norm', 0),
        ('pair', 0),
    ]
    stem, conv = calls[0], calls[1]
    assert (stem.inputs, stem.outputs) == (((2, 3, 8, 6),), ((2, 4, 8, 6),))
    assert stem.positions == 48
    assert not stem.keeps_shape
    assert conv.keeps_shape
    assert conv.is_layer
    assert calls[3].layers == 1
    assert not calls[3].is_layer
    assert calls[-1].gives_several
    assert not calls[-1]._replace(arguments=1).gives_several
    assert not stem.gives_several


def test_a_linear_layer_is_one():
    network = nn.Sequential(nn.Linear(2, 2))
    ((call,), _) = calls_of(network, lambda: network(torch.randn(1, 2)))
    assert call.is_layer


def test_a_write_into_what_a_module_gave_is_seen():
    changed = {call.name: call.changed for call in recorded()}
    # The ReLU writes into what the convolution gave.
    assert changed['stages.0.0']
    assert not changed['stages.0.1']
    assert not changed['stages.0']
    assert not changed['stem']


def test_the_hooks_go_even_if_the_network_fails():
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(3, 3))
    with pytest.raises(RuntimeError):
        calls_of(network, lambda: network(torch.randn(1, 2)))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_what_is_called_before_one():
    calls = recorded()
    inner = [call.name for call in calls].index('stages.1.0')
    # The stage that is still running is not before; nor are modules within others.
    assert list(calls_until(calls, inner)) == ['stem', 'stages.0', 'stages.1.0']
    end = [call.name for call in calls].index('stages.1')
    assert list(calls_until(calls, end)) == ['stem', 'stages.0', 'stages.1']
    # Of a module that runs twice, the last call.
    assert calls_until(calls, len(calls) - 1)['norm'] is calls[-2]


def test_names():
    assert is_inside('stages.1.0', 'stages.1')
    assert is_inside('stages.1', 'stages.1')
    assert not is_inside('stages.10', 'stages.1')
    names = ('stages.1.conv.bn', 'stages.1', 'stages.10.pool', 'stages.1.relu')
    assert children_within('stages.1', names) == {'conv', 'relu'}


@pytest.mark.parametrize(
    ('shape', 'positions'),
    [
        ((2, 96, 56, 56), 56 * 56),
        ((2, 56, 56, 96), 56 * 56),  # channels last
        ((2, 8, 7, 5), 35),
        ((2, 197, 192), 197),
        ((2, 196, 4, 4, 64), 196 * 16),
        ((2, 64), 1),
    ],
)
def test_positions_of_maps_and_tokens(shape, positions):
    call = recorded()[0]._replace(outputs=(shape,))
    assert call.positions == positions


def test_positions_are_those_of_the_smallest_map():
    call = recorded()[0]._replace(outputs=((2, 4, 8, 8), (2, 8, 4, 4), (2, 16)))
    assert call.positions == 16
