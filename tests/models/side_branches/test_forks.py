"""Where side branches fork, if nobody says it."""

import pytest
import torch
from torch import nn

from dhm_plugin.models.side_branches.calls import calls_of
from dhm_plugin.models.side_branches.forks import default_forks, why_not


def calls_in(model, *shape):
    return calls_of(model, lambda: model(torch.randn(shape or (2, 4, 64, 64))))[0]


def stage(stride=2):
    return nn.Sequential(nn.Conv2d(4, 4, 3, stride, 1), nn.Conv2d(4, 4, 1))


class Wrapped(nn.Module):
    """A network in a module, as timm's in MMPretrain's TIMMBackbone."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x)


def test_the_last_two_resolutions_before_the_final_one():
    model = nn.Sequential(*(stage() for _ in range(4)))
    assert default_forks(calls_in(model)) == ['1', '2']


def test_two_modules_at_a_resolution():
    model = nn.Sequential(stage(), stage(1), stage(), stage(1), stage(), stage(1))
    assert default_forks(calls_in(model)) == ['1', '3']


def test_one_fork_if_there_are_no_more():
    model = nn.Sequential(stage(), stage())
    assert default_forks(calls_in(model)) == ['0']


def test_none_in_a_single_layer():
    assert default_forks(calls_in(nn.Sequential(nn.Conv2d(4, 4, 1)))) == []


def test_a_wrapped_network():
    stages = nn.Sequential(*(stage() for _ in range(4)))
    model = nn.Sequential(nn.Conv2d(4, 4, 1), stages, nn.Conv2d(4, 4, 1))
    assert default_forks(calls_in(Wrapped(model))) == ['network.1.1', 'network.1.2']


@pytest.mark.parametrize(('number', 'forks'), [(12, ['5', '8']), (4, ['1', '2'])])
def test_a_network_without_stages(number, forks):
    """After a half and three quarters of its blocks."""
    blocks = (nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)) for _ in range(number))
    model = nn.Sequential(*blocks)
    assert default_forks(calls_in(model, 2, 17, 4)) == forks


def test_what_cannot_be_forked_from():
    twice = nn.Conv2d(4, 4, 1)
    model = nn.Sequential(
        twice, twice, nn.Conv2d(4, 4, 1), nn.ReLU(inplace=True), nn.BatchNorm2d(4)
    )
    model[4].eval()
    calls = calls_in(model)
    reasons = {call.name: why_not(call, calls) for call in calls}
    assert reasons['0'] == 'it runs more than once'
    assert 'writes into what it gives' in reasons['2']
    assert 'no weights' in reasons['3']
    assert 'SyncBN' in reasons['4']
    assert why_not(calls_in(nn.Sequential(stage()))[0], []) == ''
