import pytest
import torch
from mmpretrain.registry import MODELS
from torch import nn

from dhm_plugin import SideBranchNeck


def stage(in_channels, out_channels):
    return dict(
        type='ResNetStage',
        in_channels=in_channels,
        out_channels=out_channels,
        num_blocks=1,
    )


BRANCHES = [dict(stages=[stage(4, 8), stage(8, 16)]), dict(stages=[stage(8, 32)])]
MAPS = (torch.rand(2, 4, 8, 8), torch.rand(2, 8, 4, 4), torch.rand(2, 16, 2, 2))


def test_shallowest_first_main_last():
    neck = SideBranchNeck(BRANCHES)
    side0, side1, main = neck(MAPS)
    torch.testing.assert_close(side0, neck.branches[0](MAPS[0]).mean(dim=(2, 3)))
    torch.testing.assert_close(side1, neck.branches[1](MAPS[1]).mean(dim=(2, 3)))
    torch.testing.assert_close(main, MAPS[2].mean(dim=(2, 3)))
    assert neck.side_channels == (16, 32)


def test_evaluation_runs_no_side_branch():
    neck = SideBranchNeck(BRANCHES)
    calls = []
    for module in neck.branches.modules():
        module.register_forward_hook(lambda *_: calls.append(1))
    (main,) = neck.eval()(MAPS)
    torch.testing.assert_close(main, MAPS[2].mean(dim=(2, 3)))
    assert not calls
    neck.eval_branches = True
    assert len(neck(MAPS)) == 3
    assert calls


def test_eval_branches_from_the_config():
    neck = MODELS.build(
        dict(type='SideBranchNeck', branches=BRANCHES, eval_branches=True)
    )
    assert len(neck.eval()(MAPS)) == 3


def test_two_branches_fork_from_one_map():
    branches = [dict(fork=1, stages=[stage(8, 8)]), dict(fork=1, stages=[stage(8, 16)])]
    side0, side1, _ = SideBranchNeck(branches)(MAPS)
    assert side0.shape == (2, 8)
    assert side1.shape == (2, 16)


def test_initialization():
    neck = SideBranchNeck(BRANCHES)
    neck.init_weights()
    block = neck.branches[0][0][0]
    torch.testing.assert_close(block.norm1.weight, torch.ones(8))
    torch.testing.assert_close(block.norm2.weight, torch.zeros(8))
    fan_out = block.conv1.weight[:, 0].numel()
    assert block.conv1.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.2)


def test_switch_to_deploy():
    neck = SideBranchNeck(BRANCHES)
    neck.switch_to_deploy()
    assert not neck.state_dict()
    assert len(neck.train()(MAPS)) == 1
    assert neck.forks == neck.fork_probs == []


class NoStage(nn.Module):
    pass


@pytest.mark.parametrize(
    ('branches', 'message'),
    [
        ([], r'branches=\[\]; it must be a list of one'),
        (2, 'branches=2; it must be a list of one'),
        (dict(num_blocks=2), "branches={'num_blocks': 2}; it must be a list"),
        ([dict(stages=[])], r'branches\[0\] must be a dict with `stages`'),
        ([dict(stage=[stage(4, 8)])], "there is no 'stage'; did you mean 'stages'"),
        ([dict(stages=stage(4, 8))], r'branches\[0\] must be a dict with `stages`'),
        ([[stage(4, 8)]], r'branches\[0\] must be a dict with `stages`'),
        ([dict(stages=[stage(4, 8)], fork=True)], r'branches\[0\] must be a dict with'),
        ([3], r'branches\[0\] must be a dict with `stages`'),
        (['stages'], r'branches\[0\] must be a dict with `stages`'),
        ([dict(stages=[stage(4, 8)], fork='1')], r'branches\[0\] must be a dict'),
        (
            [dict(stages=[stage(4, 8)], forks=1)],
            "no 'forks'; did you mean 'fork'",
        ),
        ([dict(stages=[dict(in_channels=4)])], r'branches\[0\].stages\[0\]: .*type'),
        ([dict(stages=[stage(4, 'x')])], r'branches\[0\].stages\[0\]: '),
        (
            [dict(stages=[stage(4, 8), stage(4, 8)])],
            r'branches\[0\].stages\[1\] has in_channels=4, .* gives 8 channels',
        ),
        (
            [dict(fork=1, stages=[stage(8, 8)]), dict(fork=0, stages=[stage(4, 8)])],
            r'fork from the maps \[1, 0\]; they must be in order',
        ),
        ([dict(stages=[stage(4, 8)], widen=2)], r'\[0\] has `stages` and widen, which'),
        ([dict(stages=[stage(4, 8)], num_blocks=1)], 'has `stages` and num_blocks, wh'),
        ([dict(stages=[stage(4, 8)], fork_prob=0)], r'\[0\] has fork_prob=0; it must'),
        ([dict(stages=[stage(4, 8)], fork_prob=1.01)], 'fork_prob=1.01; it must'),
        ([dict(stages=[stage(4, 8)], fork_prob='x')], "fork_prob='x'; it must"),
        ([dict(fork=-1, stages=[stage(4, 8)])], r'maps \[-1\]'),
    ],
)
def test_refuses_branches(branches, message):
    with pytest.raises(ValueError, match=message):
        SideBranchNeck(branches)


@pytest.mark.parametrize('has', [(), ('in_channels',), ('out_channels',)])
def test_refuses_a_stage_without_channels(has, monkeypatch):
    for name in has:
        monkeypatch.setattr(NoStage, name, 4, raising=False)
    MODELS.register_module(module=NoStage, force=True)
    with pytest.raises(TypeError, match=r'branches\[0\].stages\[0\], a NoStage, lacks'):
        SideBranchNeck([dict(stages=[dict(type='NoStage')])])


@pytest.mark.parametrize(
    ('maps', 'message'),
    [
        (MAPS[2:], r'branches\[0\] forks from feature map 0, .* gives 1 map\(s\)'),
        (MAPS[1:], r'in_channels=4, but feature map 0, .* set in_channels=8'),
        (MAPS[:2], r'branches\[1\] forks from feature map 1, .* out_indices'),
    ],
)
def test_refuses_maps(maps, message):
    with pytest.raises(ValueError, match=message):
        SideBranchNeck(BRANCHES).check_maps(maps)
