import copy

import pytest
import torch
from mmpretrain.registry import MODELS

from dhm_plugin import CIFARResNetStage

STAGES = {
    'CIFARResNetStage': dict(out_channels=8, num_blocks=2),
    'ResNetStage': dict(out_channels=8, num_blocks=2, zero_init_residual=False),
    'WideResNetStage': dict(out_channels=8, num_blocks=2, dropout=0.3),
    'DenseNetStage': dict(num_layers=3, growth_rate=2),
}


@pytest.mark.parametrize('kind', STAGES)
def test_checkpointing_changes_nothing(kind):
    """Neither output, gradients nor the state after a step, the same dropout included."""
    plain = MODELS.build(dict(type=kind, in_channels=4, **STAGES[kind])).double()
    saving = copy.deepcopy(plain)
    saving.with_cp = True
    x = torch.rand(2, 4, 6, 6, dtype=torch.float64)
    gradients = []
    for stage in (plain, saving):
        torch.manual_seed(0)
        y = stage(x)
        gradients.append(torch.autograd.grad(y.square().sum(), list(stage.parameters())))
    for ours, reference in zip(*reversed(gradients)):
        torch.testing.assert_close(ours, reference)
    before = copy.deepcopy(plain.state_dict())
    for key, value in saving.state_dict().items():
        torch.testing.assert_close(value, before[key])
    tracked = [value for key, value in before.items() if 'num_batches' in key]
    assert tracked
    assert all(int(value) == 1 for value in tracked)


def test_two_backward_passes():
    stage = MODELS.build(
        dict(
            type='CIFARResNetStage',
            in_channels=4,
            with_cp=True,
            **STAGES['CIFARResNetStage'],
        )
    )
    y = stage(torch.rand(2, 4, 6, 6)).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert int(stage[0].bn1.num_batches_tracked) == 1


def test_norm_layers_that_track_nothing():
    norm_cfg = dict(type='BN', track_running_stats=False)
    stage = CIFARResNetStage(4, 8, num_blocks=1, with_cp=True, norm_cfg=norm_cfg)
    stage(torch.rand(2, 4, 6, 6)).sum().backward()
    assert all(parameter.grad is not None for parameter in stage.parameters())


def test_may_be_compiled():
    stage = MODELS.build(
        dict(type='DenseNetStage', in_channels=4, with_cp=True, **STAGES['DenseNetStage'])
    )
    x = torch.rand(2, 4, 6, 6)
    expected = stage(x)
    y = torch.compile(stage, backend='aot_eager')(x)
    torch.testing.assert_close(y, expected)
    y.sum().backward()
    assert all(p.grad is not None for p in stage.parameters())


@pytest.mark.parametrize('kind', STAGES)
def test_checkpointing_saves_memory(kind):
    stage = MODELS.build(dict(type=kind, in_channels=4, **STAGES[kind]))
    sizes = []
    for stage.with_cp in (False, True):
        saved = []
        hooks = torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, saved=saved: saved.append(tensor.numel()) or tensor,
            lambda tensor: tensor,
        )
        with hooks:
            stage(torch.rand(2, 4, 16, 16))
        sizes.append(sum(saved))
    assert sizes[1] < 0.7 * sizes[0]
