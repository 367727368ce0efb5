"""A branch of a small network that needs what several of its modules gave."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import nn

from dhm_plugin.models.side_branches.meta import trace
from dhm_plugin.models.side_branches.replay import StandIn, Tape
from dhm_plugin.models.side_branches.rest_of_network import RestOfNetwork

HEAD = dict(type='LinearClsHead', num_classes=3, in_channels=4)
NECK = dict(type='GlobalAveragePooling')


@MODELS.register_module()
class WithASkip(nn.Module):
    """Its end adds what the stem gave; one weight is used before the stem alone."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.body = nn.Conv2d(4, 4, 3, padding=1)
        self.rest = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(2))
        self.wide = nn.Conv2d(4, 5, 1)
        self.narrow = nn.Conv2d(5, 4, 1)

    def forward(self, x):
        stem = self.stem(x * self.scale)
        x = self.body(stem)
        for layer in self.rest:
            x = layer(x)
        return (self.narrow(self.wide(x)) + stem,)


@MODELS.register_module()
class PartlyFrozen(WithASkip):
    def __init__(self):
        super().__init__()
        self.wide.requires_grad_(False)


@MODELS.register_module()
class OfTheStemsSize(nn.Module):
    """Its end has the size of what the stem gave."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.body = nn.Conv2d(4, 4, 3, 2, 1)
        self.rest = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        stem = self.stem(x)
        x = self.rest(self.body(stem))
        return (F.interpolate(x, stem.shape[2:]),)


class Parallel(nn.Module):
    """Writes into the list that it gets, as HRNet's modules do."""

    def __init__(self):
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(2))

    def forward(self, x):
        for i, branch in enumerate(self.branches):
            x[i] = branch(x[i])
        return [x[0] + x[1], x[1] - x[0]]


@MODELS.register_module()
class InParallel(nn.Module):
    """Each module gives a list that the next one writes into."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.rows = nn.Sequential(Parallel(), Parallel())
        self.end = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        x = self.stem(x)
        return (self.end(self.rows([x, x])[0]),)


def branch_of(network, tape, fork='body', without=()):
    calls, image, _ = trace(network)
    config = dict(type=type(network).__name__)
    return RestOfNetwork(config, NECK, HEAD, calls, image, fork, without, tape)


def test_it_has_the_weights_that_it_uses_and_replays_what_it_needs():
    network, tape = WithASkip(), Tape()
    branch = branch_of(network, tape)
    assert branch.replayed == ['stem', 'body']
    layers = ('rest.0', 'rest.1', 'wide', 'narrow')
    own = [f'{layer}.{part}' for layer in layers for part in ('weight', 'bias')]
    assert [name for name, _ in branch.backbone.named_parameters()] == own
    assert isinstance(branch.backbone.stem, StandIn)
    # `scale` is asked for, but is no parameter, and in no checkpoint.
    assert branch.backbone.scale.shape == (1,)
    assert 'backbone.scale' not in branch.state_dict()

    twin = copy.deepcopy(network.state_dict())
    branch.backbone.load_state_dict({name: twin[name] for name in own})
    tape.attach(network, branch.replayed)
    images = torch.randn(2, 3, 8, 8)
    with tape.open():
        (feat,) = network(images)
        # The images do not matter: all of it is replayed.
        logits = branch(torch.zeros_like(images))
    assert torch.equal(logits, branch.head(branch.neck((feat,))))
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in branch.parameters())
    assert network.stem.weight.grad is not None
    assert network.wide.weight.grad is None


def test_it_replays_what_gives_a_shape_alone():
    assert branch_of(OfTheStemsSize(), Tape()).replayed == ['stem', 'body']


def test_weights_that_do_not_train_are_its_own_too():
    branch = branch_of(PartlyFrozen(), Tape())
    assert not branch.backbone.get_parameter('wide.weight').requires_grad


def test_blocks_that_it_does_without():
    branch = branch_of(WithASkip(), Tape(), without=['rest.1'])
    names = {name for name, _ in branch.backbone.named_parameters()}
    assert 'rest.0.weight' in names
    assert 'rest.1.weight' not in names
    assert branch.without == ('rest.1',)


def test_refuses_to_do_without_a_block_that_changes_the_shape():
    with pytest.raises(ValueError, match=r'it fails \(.*\); with all blocks it gives'):
        branch_of(WithASkip(), Tape(), without=['wide'])


def test_it_can_be_built_without_gradients():
    with torch.no_grad():
        assert branch_of(WithASkip(), Tape()).replayed == ['stem', 'body']


@pytest.mark.parametrize('fork', ['rows.0.branches.0', 'rows'])
def test_a_list_that_is_written_into_before_it_is_recorded_or_not_needed(fork):
    branch_of(InParallel(), Tape(), fork)


def test_refuses_to_read_a_list_that_a_later_module_writes_into():
    with pytest.raises(ValueError, match=r"read what \['rows.0'\] gave, .* \(in place\)"):
        branch_of(InParallel(), Tape(), 'rows.1.branches.0')
