import pytest
import torch
from mmengine.config import Config

from benchmarks import step
from benchmarks.methods import configs_of
from paths import ROOT

DIGITS = ROOT / 'configs/dhm/resnet20_dhm_1xb64_digits.py'


def test_finds_the_plain_and_dsl_twin():
    configs = configs_of(DIGITS)
    assert list(configs) == ['plain', 'dsl', 'dhm']
    assert 'side_in_channels' not in configs['plain'].model.head
    with pytest.raises(ValueError, match='compared are a DHM config'):
        configs_of(ROOT / 'configs/plain/resnet20_1xb64_digits.py')


def test_every_switch_trains(monkeypatch):
    monkeypatch.setattr(
        step, 'CompileHook', lambda **kw: step_hook(backend='aot_eager', **kw)
    )
    cfg = Config.fromfile(DIGITS)
    cfg.model.backbone.depth = 8
    for name, settings in step.switches().items():
        torch.compiler.reset()
        run = step.Step(cfg, 4, *settings)
        before = run.network.head.fc.weight.clone()
        run()
        assert not torch.equal(run.network.head.fc.weight, before), name
        layout = run.network.backbone.layer1[0].conv2.weight
        channels_last = layout.is_contiguous(memory_format=torch.channels_last)
        assert channels_last == (name in ('channels_last', step.TOGETHER, step.COMPILED))


step_hook = step.CompileHook


def test_flops_are_three_times_the_forward_ones():
    plain = step.Step(configs_of(DIGITS)['plain'], 4, {}, [])
    # MMEngine counts the multiply-adds of one image; backward is twice forward, but for
    # the first layer, which has no gradient at its input.
    assert plain.flops() / (4 * 2 * 3) == pytest.approx(2.55e6, rel=0.03)


def test_memory_is_what_the_feature_maps_take():
    small, large = (
        step.Step(configs_of(DIGITS)['dhm'], size, {}, []).memory()
        for size in (256, 1024)
    )
    assert 2 < large / small < 6


def test_dynamic_forking_costs_the_mean_of_all_forks():
    cfg = configs_of(DIGITS)['dhm']
    forked = step.EveryFork(cfg, 4, step.FUSED, [])
    before = forked.network.head.fc.weight.clone()
    forked()
    assert not torch.equal(forked.network.head.fc.weight, before)
    each = []
    for forks in ([False, False], [False, True], [True, False], [True, True]):
        one = step.Step(cfg, 4, {}, [])
        one.network.neck.fork_probs = [0.5, 0.5]
        one.network.neck.draw_forks = lambda forks=forks: forks
        each.append(one.flops())
    plain = step.Step(configs_of(DIGITS)['plain'], 4, {}, []).flops()
    assert each[0] == plain < each[1] < each[3]
    assert each[3] == step.Step(cfg, 4, {}, []).flops()
    assert forked.flops() == sum(each)
    assert forked.calls == 4


def test_dynamic_forking_of_a_plain_config():
    cfg = configs_of(DIGITS)['plain']
    cfg.model.type = 'DHMClassifier'
    forked = step.EveryFork(cfg, 4, step.FUSED, [])
    plain = step.Step(configs_of(DIGITS)['plain'], 4, {}, []).flops()
    all_branches = step.Step(cfg, 4, {}, []).flops()
    # Each of two branches in two of the four steps.
    assert forked.flops() == 2 * (plain + all_branches)


def test_the_table_has_a_row_of_dynamic_forking():
    configs = configs_of(DIGITS)
    rows = step._methods(configs, 4, 'name', ({}, []), repeats=2)
    assert [row['method'] for row in rows] == ['plain', 'dsl', 'dhm', step.FORKED]
    plain, _, dhm, forked = (row['GFLOP a step'] for row in rows)
    assert plain < forked < dhm
    assert len(rows[3]['time'].seconds) == 2
