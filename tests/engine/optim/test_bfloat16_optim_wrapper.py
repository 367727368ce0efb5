from contextlib import nullcontext
from unittest import mock

import pytest
import torch
from torch import nn

from dhm_plugin import BFloat16OptimWrapper
from dhm_plugin.engine.optim import bfloat16_optim_wrapper


@pytest.fixture
def features(monkeypatch):
    def pretend(**there):
        monkeypatch.setattr(bfloat16_optim_wrapper, 'get_device', lambda: 'cpu')
        monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: there, raising=False)

    return pretend


@pytest.mark.parametrize(
    ('there', 'dtype'),
    [
        (dict(avx512_f=True, avx512_bf16=True), torch.bfloat16),
        (dict(amx_bf16=True), torch.bfloat16),
        (dict(avx512_f=True, avx512_bf16=False), torch.float32),
        ({}, torch.float32),
    ],
)
def test_bfloat16_where_the_cpu_computes_in_it(there, dtype, features):
    features(**there)
    model = nn.Linear(3, 2)
    wrapper = BFloat16OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    with wrapper.optim_context(model):
        out = model(torch.rand(4, 3))
    assert out.dtype == dtype
    assert model.weight.dtype == torch.float32
    wrapper.update_params(out.float().sum())


def test_accumulation_and_clipping_are_the_stock_wrappers(features):
    features(avx512_bf16=True)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapper = BFloat16OptimWrapper(
        optimizer, accumulative_counts=2, clip_grad=dict(max_norm=1.0)
    )
    wrapper.initialize_count_status(model, 0, 4)
    before = model.weight.clone()
    for moved in (False, True):
        with wrapper.optim_context(model):
            loss = model(torch.rand(4, 3)).float().sum()
        wrapper.update_params(loss)
        assert torch.equal(model.weight, before) != moved


@pytest.mark.parametrize('emulates', [False, True])
def test_a_gpu_that_would_emulate_it_trains_in_float32(emulates, monkeypatch):
    monkeypatch.setattr(bfloat16_optim_wrapper, 'get_device', lambda: 'cuda')

    def is_supported(including_emulation=True):
        return including_emulation or not emulates

    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', is_supported)
    optimizer = torch.optim.SGD(nn.Linear(3, 2).parameters(), lr=0.1)
    assert BFloat16OptimWrapper(optimizer).enabled is not emulates


def test_any_other_device_trains_in_float32(features, monkeypatch):
    features(avx512_bf16=True)
    monkeypatch.setattr(bfloat16_optim_wrapper, 'get_device', lambda: 'mps')
    optimizer = torch.optim.SGD(nn.Linear(3, 2).parameters(), lr=0.1)
    assert not BFloat16OptimWrapper(optimizer).enabled


def test_processes_wait_for_one_another_at_updates_alone(features):
    features(avx512_bf16=True)
    model = nn.Linear(3, 2)
    # As DistributedDataParallel has it.
    model.no_sync = mock.Mock(side_effect=nullcontext)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapper = BFloat16OptimWrapper(optimizer, accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    for calls in (1, 1, 2, 2):
        with wrapper.optim_context(model):
            loss = model(torch.rand(4, 3)).float().sum()
        wrapper.update_params(loss)
        assert model.no_sync.call_count == calls


@pytest.mark.parametrize('method', ['plain', 'dhm'])
def test_training_agrees_with_float32(method, train, history, features):
    options = {'train_cfg.max_epochs': 2, 'train_dataloader.batch_size': 240}
    reference = history(train('float32', method, **options))
    features(avx512_bf16=True)
    options['optim_wrapper.type'] = 'BFloat16OptimWrapper'
    losses = history(train('bfloat16', method, **options))
    # bfloat16 has 8 bits: 1 / 256 an operation.
    torch.testing.assert_close(losses, reference, rtol=0.02, atol=0.02)
    assert losses != reference
