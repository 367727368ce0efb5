import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.hooks import Hook
from torch.utils.data import DataLoader, IterableDataset

import tiny
from resumption import STOCK, Killed, KillHook, NoiseImages, build, config, train


class SeenHook(Hook):
    """Note what is trained on, after a look at a batch, as a user may have."""

    def __init__(self):
        self.batches = []

    def before_train_epoch(self, runner):
        next(iter(runner.train_dataloader))

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.batches.append((runner.epoch, batch_idx, runner.iter))


@pytest.fixture
def resumed(tmp_path, monkeypatch):
    """Resume a training that was killed after six iterations, four an epoch."""
    train(config(pipeline=STOCK), tmp_path / 'work', kill_after=6)

    def resume(**options):
        loaded = []
        load = NoiseImages.__getitem__
        monkeypatch.setattr(
            NoiseImages, '__getitem__', lambda self, i: loaded.append(i) or load(self, i)
        )
        options = {**options, 'val_cfg': None, 'val_dataloader': None}
        cfg = config(pipeline=STOCK, **options)
        cfg.val_evaluator = None
        runner = build(cfg, tmp_path / 'work', resume=True)
        seen = SeenHook()
        runner.register_hook(seen)
        runner.train()
        return seen.batches, loaded

    return resume


class Stream(IterableDataset):
    def __iter__(self):
        for i in range(4):
            yield dict(x=torch.full((2,), i / 10))

    def __len__(self):
        return 4


def test_without_indices_the_epoch_begins_anew(tmp_path):
    options = dict(
        train_dataloader=DataLoader(Stream(), batch_size=1),
        checkpoint=dict(by_epoch=False),
    )
    with pytest.raises(Killed):
        tiny.runner(tmp_path, 1, custom_hooks=[KillHook(2)], **options).train()
    seen = SeenHook()
    tiny.runner(tmp_path, 1, resume=True, custom_hooks=[seen], **options).train()
    assert [index for _, index, _ in seen.batches] == [0, 1, 2, 3]


def order(epoch):
    sampler = DefaultSampler(range(14), shuffle=True, seed=0)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_goes_on_at_the_next_batch_and_loads_no_other(resumed):
    batches, loaded = resumed()
    assert batches == [(1, 2, 6), (1, 3, 7)]
    assert loaded[4:] == order(1)[-6:]  # the first four are of the look at a batch


def test_the_next_epoch_is_a_whole_one(resumed):
    batches, loaded = resumed(**{'train_cfg.max_epochs': 3})
    assert batches[2:] == [(2, i, 8 + i) for i in range(4)]
    assert loaded[4:10] + loaded[14:] == order(1)[-6:] + order(2)


def test_other_batches_begin_the_epoch_anew(resumed):
    batches, _ = resumed(**{'train_dataloader.batch_size': 7})
    assert batches == [(1, 0, 6), (1, 1, 7)]


def test_with_another_seed_it_goes_on_at_the_next_batch_too(resumed):
    batches, _ = resumed(**{'randomness.seed': 1})
    assert batches == [(1, 2, 6), (1, 3, 7)]


def test_a_checkpoint_that_does_not_say_begins_the_epoch_anew(resumed, tmp_path):
    path = tmp_path / 'work/iter_6.pth'
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint['meta']['batches_of_epoch']
    torch.save(checkpoint, path)
    batches, _ = resumed()
    assert [index for _, index, _ in batches] == [0, 1, 2, 3]


class LookHook(Hook):
    def __init__(self):
        self.looks = {}

    def before_train_epoch(self, runner):
        batch = next(iter(runner.train_dataloader))
        self.looks[runner.epoch] = torch.stack(list(batch['inputs']))


def test_a_look_at_an_epoch_sees_the_same_when_it_goes_on(tmp_path):
    cfg = config(pipeline=STOCK, **{'train_cfg.max_epochs': 3})
    train(cfg, tmp_path / 'broken', kill_after=9)
    looks = []
    for folder, resume in (('broken', True), ('unbroken', False)):
        runner, look = build(cfg, tmp_path / folder, resume), LookHook()
        runner.register_hook(look)
        runner.train()
        looks.append(look.looks[2])
    assert torch.equal(*looks)
