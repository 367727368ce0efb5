from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapperDict
from torch import nn
from torch.optim import SGD

import tiny
from dhm_plugin import SkippedStepsHook

pytestmark = pytest.mark.usefixtures('scaled_on_cpu')


def test_a_skipped_first_step_leaves_no_momentum():
    weights = {fused: nn.Parameter(torch.ones(40)) for fused in (False, True)}
    wrappers = {
        str(fused): AmpOptimWrapper(
            optimizer=SGD([weight], lr=0.1, momentum=0.9, fused=fused),
            loss_scale='dynamic',
        )
        for fused, weight in weights.items()
    }
    runner = SimpleNamespace(optim_wrapper=OptimWrapperDict(**wrappers))
    SkippedStepsHook().before_train(runner)
    for wrapper, weight in zip(wrappers.values(), weights.values()):
        wrapper.update_params(weight.sum() * torch.inf)
        assert not wrapper.optimizer.state[weight]
        for _ in range(2):
            wrapper.update_params(weight.square().sum())
    assert weights[False][0] < 1
    torch.testing.assert_close(weights[True], weights[False])


def test_weights_in_float16_are_trained():
    weight = nn.Parameter(torch.ones(40, dtype=torch.float16))
    optimizer = SGD([weight], lr=0.1, momentum=0.9, fused=True)
    wrapper = AmpOptimWrapper(optimizer=optimizer, loss_scale=1.0)
    SkippedStepsHook().before_train(SimpleNamespace(optim_wrapper=wrapper))
    wrapper.update_params(weight.float().square().sum())
    assert weight[0] < 1


def test_any_other_optimizer_skips_steps_itself():
    optimizer = torch.optim.Adam([nn.Parameter(torch.ones(4))], fused=True)
    wrapper = AmpOptimWrapper(optimizer=optimizer)
    SkippedStepsHook().before_train(SimpleNamespace(optim_wrapper=wrapper))
    assert optimizer._step_supports_amp_scaling


def test_in_every_training(tmp_path):
    optimizer = dict(type='SGD', lr=0.1, momentum=0.9, fused=True)
    wrapper = dict(type='AmpOptimWrapper', optimizer=optimizer)
    runner = tiny.runner(tmp_path, epochs=1, optim_wrapper=wrapper)
    runner.train()
    assert not runner.optim_wrapper.optimizer._step_supports_amp_scaling
