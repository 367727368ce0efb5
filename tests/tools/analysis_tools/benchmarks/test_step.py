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
