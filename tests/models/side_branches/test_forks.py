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


class Tokens(nn.Linear):
    """A layer that passes on every so many tokens, from one of them on."""

    def __init__(self, first=0, step=1):
        super().__init__(4, 4)
        self.first, self.step = first, step

    def forward(self, x):
        return super().forward(x[:, self.first :: self.step])


def test_half_of_the_tokens_are_another_resolution_and_one_less_is_not():
    model = nn.Sequential(Tokens(), Tokens(step=2), Tokens(step=2))
    assert default_forks(calls_in(model, 2, 16, 4)) == ['0', '1']
    model = nn.Sequential(Tokens(), Tokens(first=1))
    assert default_forks(calls_in(model, 2, 17, 4)) == []


def test_features_are_no_resolution():
    end = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4))
    assert default_forks(calls_in(nn.Sequential(stage(), stage(), *end))) == ['0']


def test_what_is_finer_again_is_not_the_end_of_a_resolution():
    finer, coarser = nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv2d(4, 4, 4, 4)
    model = nn.Sequential(stage(), stage(), finer, coarser)
    assert default_forks(calls_in(model)) == ['0', '1']


class Gated(nn.Module):
    """Of two resolutions, and a gate of one value a channel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1))
        self.down = nn.Conv2d(4, 4, 3, 2, 1)

    def forward(self, x):
        x = self.conv(x)
        return self.down(x * self.gate(x))


def test_a_block_of_two_resolutions_stays_whole():
    model = nn.Sequential(*(Gated() for _ in range(4)))
    assert default_forks(calls_in(model)) == ['1', '2']


@pytest.mark.parametrize(('number', 'forks'), [(4, ['0', '1']), (9, ['6', '8'])])
def test_most_layers_at_the_last_resolution(number, forks):
    """10 of 14 are few enough for stages, 20 of 24 are not."""
    model = nn.Sequential(stage(), stage(), stage(), *(stage(1) for _ in range(number)))
    assert default_forks(calls_in(model)) == forks


@pytest.mark.parametrize(
    ('number', 'forks'), [(12, ['5', '8']), (4, ['1', '2']), (3, [])]
)
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
    conv = calls_in(nn.Sequential(stage()))[0]
    assert why_not(conv, []) == ''
    assert 'gives no tensor' in why_not(conv._replace(outputs=()), [])
