import os
import shutil
from contextlib import ExitStack
from unittest import mock

import pytest
import torch
from mmengine.hooks import CheckpointHook, Hook

import tiny
from dhm_plugin import WholeCheckpointHook
from dhm_plugin.archive import verify_archive
from dhm_plugin.checkpoints import CheckpointError
from paths import full_disk
from resumption import build, config


def killed_at(number):
    """Let the first calls that change the disk pass, and raise at this one."""
    stack = ExitStack()
    calls = []

    def counted(function):
        def call(*args, **kwargs):
            calls.append(function)
            if len(calls) > number:
                raise tiny.Killed
            return function(*args, **kwargs)

        return call

    for name in ('fsync', 'replace', 'remove'):
        stack.enter_context(mock.patch.object(os, name, counted(getattr(os, name))))
    return stack


class Scores(tiny.Score):
    """The score under several names."""

    def __init__(self, keys):
        super().__init__()
        self.keys = keys

    def compute_metrics(self, results):
        scores = super().compute_metrics(results)
        return {key: scores['accuracy/top1'] for key in self.keys}


def checkpoints(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp('unbroken')
    tiny.runner(folder).train()
    return folder


def test_a_validation_alone_saves_no_best_one(tmp_path):
    """Seen: it failed when it was done."""
    cfg = config(**{'default_hooks.checkpoint.save_best': 'accuracy/top1'})
    runner = build(cfg, tmp_path)
    assert 'accuracy/top1' in runner.val()
    assert list(tmp_path.glob('*.pth')) == []
    runner.train()
    assert len(list(tmp_path.glob('best_*.pth'))) == 1


def test_any_hook_of_mmengine_becomes_one(tmp_path):
    for kind in ('CheckpointHook', 'mmengine.CheckpointHook', CheckpointHook):
        runner = tiny.runner(tmp_path, checkpoint=dict(type=kind))
        (hook,) = (hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
        assert type(hook) is WholeCheckpointHook
        assert hook.max_keep_ckpts == 1


# Each of them is another moment of a training of four epochs, with three best ones.
@pytest.mark.parametrize('number', range(3, 56, 4))
def test_killed_anywhere_nothing_is_lost(number, unbroken, tmp_path):
    with killed_at(number), pytest.raises(tiny.Killed):
        tiny.runner(tmp_path).train()
    left = checkpoints(tmp_path)
    for name in left:
        verify_archive(tmp_path / name)
    best = [name for name in left if name.startswith('best')]
    assert best or len(left) == 1
    # As of a process that had no time to clear away.
    (tmp_path / '.epoch_2.x.unfinished.pth').touch()
    (tmp_path / '.last_checkpoint.x.unfinished').touch()
    tiny.runner(tmp_path, resume=True).train()
    assert not tiny.different(tmp_path, unbroken)
    files = [path.name for path in tmp_path.iterdir() if path.is_file()]
    assert not [name for name in files if 'unfinished' in name]


def test_a_better_one_of_the_same_name_stays(tmp_path, monkeypatch):
    runner = tiny.runner(tmp_path)
    runner.train()
    before = checkpoints(tmp_path)
    assert before == ['best_accuracy_top1_epoch_4.pth', 'epoch_4.pth']
    monkeypatch.setattr(tiny, 'SCORES', [0.7] * 5)
    runner.val()
    assert checkpoints(tmp_path) == before


def test_a_second_training_of_the_same_name_saves_when_it_is_due(tmp_path, monkeypatch):
    options = dict(experiment_name='one', checkpoint=dict(interval=3, save_last=False))
    tiny.runner(tmp_path, 3, **options).train()
    monkeypatch.setattr(tiny, 'SCORES', [0.9] * 5)
    tiny.runner(tmp_path, 1, **options).train()
    assert 'best_accuracy_top1_epoch_1.pth' in checkpoints(tmp_path)
    assert 'epoch_1.pth' not in checkpoints(tmp_path)


@pytest.mark.parametrize('kept', [True, False])
def test_optimizer_and_schedule_are_saved_if_asked_for(kept, tmp_path):
    options = dict(
        param_scheduler=dict(type='LinearLR', begin=0, end=4),
        checkpoint=dict(save_optimizer=kept, save_param_scheduler=kept),
    )
    tiny.runner(tmp_path, 1, **options).train()
    keys = torch.load(tmp_path / 'epoch_1.pth', weights_only=True).keys()
    assert ('optimizer' in keys) is ('param_schedulers' in keys) is kept


class FillsTheDisk(Hook):
    def __init__(self, stack):
        self.stack = stack

    def before_train_epoch(self, runner):
        if runner.epoch == 2:
            self.stack.enter_context(full_disk())


@pytest.mark.parametrize('kept', [1, 2])
def test_a_full_disk_leaves_what_was_there(kept, unbroken, tmp_path):
    kept = dict(max_keep_ckpts=kept)
    message = r'epoch_3\.pth: cannot be written: \[Errno \d+\] File too large'
    with ExitStack() as stack:
        runner = tiny.runner(
            tmp_path, checkpoint=kept, custom_hooks=[FillsTheDisk(stack)]
        )
        with pytest.raises(CheckpointError, match=message):
            runner.train()
    files = {path.name for path in tmp_path.iterdir() if path.is_file()}
    expected = {'best_accuracy_top1_epoch_2.pth', 'epoch_2.pth', 'last_checkpoint'}
    assert expected <= files
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_2.pth')
    assert not [name for name in files if 'unfinished' in name or 'epoch_3' in name]
    if kept['max_keep_ckpts'] == 1:
        tiny.runner(tmp_path, resume=True).train()
        assert not tiny.different(tmp_path, unbroken)


def test_a_name_with_a_number_of_digits(tmp_path):
    pattern = dict(filename_tmpl='e{:04d}.pth')
    begun = tmp_path / '.e0002.x.unfinished.pth'
    begun.touch()
    tiny.runner(tmp_path, 2, checkpoint=pattern).train()
    assert 'e0002.pth' in checkpoints(tmp_path)
    assert not begun.exists()
    runner = tiny.runner(tmp_path, 4, resume=True, checkpoint=pattern)
    runner.train()
    assert 'e0004.pth' in checkpoints(tmp_path)


@pytest.mark.parametrize('keys', [['accuracy/top1'], ['accuracy/top1', 'accuracy/top5']])
def test_a_copied_folder_keeps_its_best_ones_and_leaves_the_other_alone(keys, tmp_path):
    options = dict(checkpoint=dict(save_best=keys, rule='greater'))
    one, other = tmp_path / 'one', tmp_path / 'other'
    tiny.runner(one, 2, val_evaluator=[Scores(keys)], **options).train()
    before = checkpoints(one)
    assert len(before) == 1 + len(keys)
    shutil.copytree(one, other)
    runner = tiny.runner(other, 4, resume=True, val_evaluator=[Scores(keys)], **options)
    runner.train()
    assert checkpoints(one) == before
    assert len(checkpoints(other)) == 1 + len(keys)


@pytest.mark.parametrize('keys', [['accuracy/top1'], ['accuracy/top1', 'accuracy/top5']])
def test_publishes_what_is_there(keys, tmp_path):
    options = dict(published_keys=['meta', 'state_dict'], save_best=keys, rule='greater')
    one, other = tmp_path / 'one', tmp_path / 'other'
    tiny.runner(one, 7, val_evaluator=[Scores(keys)], checkpoint=options).train()
    assert len([name for name in checkpoints(one) if '-' in name]) == 1 + len(keys)
    before = checkpoints(one)
    # The best one is in the other folder, and stays the best one.
    resumed = dict(resume=True, load_from=str(one / 'epoch_7.pth'))
    runner = tiny.runner(
        other, 8, val_evaluator=[Scores(keys)], checkpoint=options, **resumed
    )
    runner.train()
    assert checkpoints(one) == before
    published, last = checkpoints(other)
    assert last == 'epoch_8.pth'
    assert published.startswith('epoch_8-')
