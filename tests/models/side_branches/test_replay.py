"""The tape, and what stands in for modules that do not run."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from dhm_plugin.models.side_branches.replay import StandIn, Tape


def test_a_tape_keeps_nothing_longer_than_it_is_open():
    tape, network = Tape(), nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    tape.attach(network, ['0'])
    x = torch.randn(1, 2)
    network(x)
    assert not tape.outputs
    with tape.open():
        network(x)
        assert torch.equal(tape.outputs['0'], network[0](x))
    assert not tape.outputs
    network[1].register_forward_hook(lambda *_: x.missing)
    with pytest.raises(AttributeError), tape.open():
        network(x)
    assert not tape.outputs
    assert not tape.recording
    tape.detach()
    with tape.open():
        network[0](x)
        assert not tape.outputs
    assert not network[0]._forward_hooks


@pytest.mark.parametrize(
    'copied', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_records_for_itself_and_starts_empty(copied):
    tape, network = Tape(), nn.Sequential(nn.Linear(2, 3))
    tape.attach(network, ['0'])
    x = torch.randn(1, 2)
    with tape.open():
        network(x)  # it holds an activation with a gradient, which has no deep copy
        their_tape, theirs = copied((tape, network))
        assert not their_tape.outputs
        assert not their_tape.recording
        with their_tape.open():
            theirs(x + 1)
            assert torch.equal(their_tape.outputs['0'], theirs[0](x + 1))
            assert torch.equal(tape.outputs['0'], network[0](x))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Linear(2, 2)
        self.norm = nn.LayerNorm(2)
        self.downsample = None
        self.out_channels = 2

    @property
    def width(self):
        return self.conv.out_features

    @property
    def of_another_kind(self):
        return self.missing


def test_a_stand_in_has_public_attributes_and_the_children_that_are_kept():
    block = Block()
    stand_in = StandIn(block, ['norm'])
    assert stand_in.out_channels == 2
    assert stand_in.width == 2
    assert stand_in.downsample is None
    assert stand_in.norm is block.norm
    assert not hasattr(stand_in, 'conv')
    assert not hasattr(stand_in, 'of_another_kind')
    assert [*stand_in.state_dict()] == ['norm.weight', 'norm.bias']


def test_a_stand_in_passes_on_or_replays():
    a, b, tape = object(), object(), Tape()
    assert StandIn(Block())(a, b, key=1) is a
    assert StandIn(Block(), several=True)(a, b) == (a, b)
    stand_in = StandIn(Block())
    stand_in.replay(tape, 'layer')
    with tape.open():
        tape.outputs['layer'] = b
        assert stand_in(a) is b
    stand_in.replay(None, 'layer')
    assert stand_in(a) is a


def test_a_network_may_run_in_a_checkpoint_as_a_whole():
    tape, network = Tape(), nn.Sequential(nn.Linear(2, 2))
    tape.attach(network, ['0'])

    def run(x):
        with tape.open():
            return network(x)

    x = torch.randn(1, 2, requires_grad=True)
    checkpoint(run, x, use_reentrant=True).sum().backward()
    assert network[0].weight.grad is not None
