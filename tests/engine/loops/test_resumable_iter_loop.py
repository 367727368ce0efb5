from itertools import islice

import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.hooks import Hook

from resumption import (
    BY_ITER,
    ENDLESS,
    STOCK,
    NoiseImages,
    assert_resumes,
    build,
    config,
    train,
)

PART = dict(type='InfinitePartSampler', images=9)


def by_iterations(**options):
    loop = dict(BY_ITER, _delete_=True, val_interval=100)
    return config(pipeline=STOCK, train_cfg=loop, **options)


class LookHook(Hook):
    """Look at data before the training, or within; note what the training gets."""

    def __init__(self, when=None):
        self.when, self.batches = when, []

    def before_train(self, runner):
        if self.when == 'before':
            next(iter(runner.train_dataloader))

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.batches.append(torch.stack(list(data_batch['inputs'])))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if self.when == 'within' and runner.iter in (2, 5):
            assert len(list(islice(runner.train_dataloader, 2))) == 2


def seen(cfg, folder, when=None, **options):
    runner, look = build(cfg, folder, **options), LookHook(when)
    runner.register_hook(look)
    runner.train()
    return look.batches


def test_loads_what_is_left_alone(tmp_path, monkeypatch):
    cfg = by_iterations()
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    train(cfg, tmp_path / 'work', kill_after=6)
    loaded = []
    load = NoiseImages.__getitem__
    monkeypatch.setattr(
        NoiseImages, '__getitem__', lambda self, i: loaded.append(i) or load(self, i)
    )
    runner = train(cfg, tmp_path / 'work', resume=True)
    assert runner.iter == 8
    # Two rounds of 14 images in batches of 4; the last of a round has two.
    sampler = DefaultSampler(range(14), shuffle=True, seed=0)
    sampler.set_epoch(1)
    assert loaded == list(sampler)[-6:]


@pytest.mark.parametrize('workers', [pytest.param(0, marks=pytest.mark.one_stack), 1])
@pytest.mark.parametrize(
    'when', [pytest.param('before', marks=pytest.mark.one_stack), 'within']
)
@pytest.mark.parametrize(
    'sampler', [None, ENDLESS, PART], ids=['default', 'endless', 'part']
)
def test_a_look_at_the_data_changes_no_batch(sampler, when, workers, tmp_path):
    expected = seen(by_iterations(sampler=sampler), tmp_path / 'expected')
    cfg = by_iterations(workers=workers, sampler=sampler)
    found = seen(cfg, tmp_path / 'looked', when)
    train(cfg, tmp_path / 'killed', kill_after=4)
    resumed = seen(cfg, tmp_path / 'killed', when, resume=True)
    for batches, rest in ((found, expected), (resumed, expected[4:])):
        assert len(batches) == len(rest)
        assert all(map(torch.equal, batches, rest))


@pytest.mark.parametrize('sampler', [None, ENDLESS], ids=['default', 'endless'])
def test_the_statistics_of_precise_bn_are_resumed(sampler, tmp_path):
    hook = dict(type='PreciseBNHook', num_samples=8, interval=3, priority='ABOVE_NORMAL')
    cfg = by_iterations(workers=1, hooks=[hook], sampler=sampler)
    assert_resumes(cfg, tmp_path, 5)


def test_nothing_is_loaded_before_it_is_known_where_it_goes_on(tmp_path):
    loop = build(by_iterations(workers=1), tmp_path).train_loop
    assert loop.dataloader.batch_sampler.begun == 0


def test_the_loader_ends_after_a_round(tmp_path):
    runner = build(by_iterations(), tmp_path)
    assert len(list(islice(runner.train_dataloader, 50))) == 4
