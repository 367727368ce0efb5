import pytest
import torch
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from dhm_plugin import ResumableEpochLoop, ResumableIterLoop
from dhm_plugin.engine.loops.resumable_loop import resumable_loop
from resumption import build, config, train


class OwnLoop(EpochBasedTrainLoop):
    pass


@pytest.fixture(scope='module')
def runner(tmp_path_factory):
    return build(config(), tmp_path_factory.mktemp('work'))


@pytest.mark.parametrize(
    ('loop', 'expected'),
    [
        (dict(by_epoch=True), ResumableEpochLoop),
        (dict(by_epoch=False), ResumableIterLoop),
        (dict(type='EpochBasedTrainLoop'), ResumableEpochLoop),
        (dict(type='mmengine.IterBasedTrainLoop'), ResumableIterLoop),
        (dict(type=IterBasedTrainLoop), ResumableIterLoop),
    ],
)
def test_mmengines_loops_become_ours(loop, expected, runner):
    assert resumable_loop(runner, dict(loop, x=1)) == dict(type=expected, x=1)


@pytest.mark.parametrize(
    'loop',
    [
        dict(type=OwnLoop),
        dict(type='Unknown'),
        dict(x=1),
        dict(type='EpochBasedTrainLoop', by_epoch=True),
        object(),
    ],
)
def test_any_other_stays(loop, runner):
    assert resumable_loop(runner, loop) == loop


def test_the_runner_builds_them(runner):
    assert type(runner.train_loop) is ResumableEpochLoop


def test_the_seed_that_was_drawn_is_known_when_the_sampler_is_made(tmp_path):
    cfg = config(**{'randomness.seed': None})
    seed = train(cfg, tmp_path / 'work', kill_after=1).seed
    for resume in (True, False):
        sampler = build(cfg, tmp_path / 'work', resume).train_dataloader.sampler
        assert (sampler.seed == seed) == resume
    cfg.load_from = str(tmp_path / 'work/iter_1.pth')
    assert (
        build(cfg, tmp_path / 'other', resume=True).train_dataloader.sampler.seed == seed
    )


def test_a_seed_that_is_no_number_is_not_taken(tmp_path):
    torch.save(dict(meta=dict(seed='5')), tmp_path / 'epoch_1.pth')
    cfg = config(**{'randomness.seed': None})
    cfg.load_from = str(tmp_path / 'epoch_1.pth')
    sampler = build(cfg, tmp_path, resume=True).train_dataloader.sampler
    assert isinstance(sampler.seed, int)
