import pytest
import torch
from mmengine.hooks import Hook

import tiny
from resumption import Killed, KillHook


class KilledInValidation(Hook):
    def __init__(self, number):
        self.number = number

    def before_val_epoch(self, runner):
        self.number -= 1
        if not self.number:
            raise tiny.Killed


class Validations(Hook):
    """Notes after how many iterations there was one."""

    def __init__(self):
        self.found = []

    def after_val_epoch(self, runner, metrics):
        self.found.append((runner.iter, metrics['accuracy/top1']))


BY_EPOCH = dict(by_epoch=True, max_epochs=7)
BY_ITERATION = dict(by_epoch=False, max_iters=7, val_begin=2)
LOOPS = {
    'every epoch': (BY_EPOCH, [1, 2, 3, 4, 5, 6, 7]),
    'some epochs': (dict(BY_EPOCH, val_begin=3, val_interval=2), [4, 6, 7]),
    'dynamic': (dict(BY_EPOCH, val_interval=3, dynamic_intervals=[(6, 1)]), [3, 5, 6, 7]),
    'every iteration': (dict(BY_ITERATION, val_interval=1), [2, 3, 4, 5, 6, 7]),
    'some iterations': (dict(BY_ITERATION, val_interval=3), [3, 6, 7]),
}


@pytest.mark.parametrize('name', LOOPS)
def test_killed_in_any_validation(name, tmp_path):
    train_cfg, steps = LOOPS[name]
    by_epoch = train_cfg['by_epoch']
    options = dict(train_cfg=train_cfg, checkpoint=dict(by_epoch=by_epoch))
    options['images'] = 2 if by_epoch else 14

    def train(folder, *hooks, resume=False):
        seen = Validations()
        runner = tiny.runner(
            tmp_path / folder, resume=resume, custom_hooks=[seen, *hooks], **options
        )
        if hooks:
            with pytest.raises(tiny.Killed):
                runner.train()
        else:
            runner.train()
        return seen.found

    unbroken = train('unbroken')
    assert [step for step, _ in unbroken] == steps
    for number in (1, len(steps) // 2, len(steps)):
        before = train(str(number), KilledInValidation(number))
        after = train(str(number), resume=True)
        assert before + after == unbroken
        assert not tiny.different(tmp_path / str(number), tmp_path / 'unbroken')


def test_none_is_due_within_the_first_epoch(tmp_path):
    options = dict(
        images=4,
        train_cfg=dict(by_epoch=True, max_epochs=2, val_begin=0),
        checkpoint=dict(by_epoch=False),
    )
    killed = tiny.runner(tmp_path, custom_hooks=[KillHook(1)], **options)
    with pytest.raises(Killed):
        killed.train()
    seen = Validations()
    tiny.runner(tmp_path, resume=True, custom_hooks=[seen], **options).train()
    assert [step for step, _ in seen.found] == [2, 4]


def test_none_is_due_between_two(tmp_path):
    options = dict(train_cfg=dict(by_epoch=True, max_epochs=4, val_interval=2))
    killed = tiny.runner(tmp_path, custom_hooks=[KillHook(4)], **options)
    with pytest.raises(Killed):
        killed.train()
    assert (tmp_path / 'epoch_3.pth').is_file()
    seen = Validations()
    tiny.runner(tmp_path, resume=True, custom_hooks=[seen], **options).train()
    assert [step for step, _ in seen.found] == [4]


def test_it_is_not_done_twice(tmp_path):
    """The best checkpoint of the second epoch is entered into that of the epoch."""
    tiny.runner(tmp_path, 2).train()
    best = torch.load(tmp_path / 'epoch_2.pth', weights_only=False)['message_hub']
    assert best['runtime_info']['best_score'] == tiny.SCORES[2]
    seen = Validations()
    tiny.runner(tmp_path, 4, resume=True, custom_hooks=[seen]).train()
    assert seen.found == [(3, tiny.SCORES[3]), (4, tiny.SCORES[4])]


def test_a_new_training_begins_with_an_iteration(tmp_path):
    tiny.runner(tmp_path / 'first', 1).train()
    for options in ({}, {'load_from': str(tmp_path / 'first/epoch_1.pth')}):
        seen = Validations()
        tiny.runner(tmp_path / 'second', 1, custom_hooks=[seen], **options).train()
        assert [step for step, _ in seen.found] == [1]


def test_without_a_validation(tmp_path):
    none = dict(val_dataloader=None, val_cfg=None, val_evaluator=None)
    for epochs in (1, 2):
        checkpoint = dict(save_best=None)
        tiny.runner(tmp_path, epochs, resume=True, checkpoint=checkpoint, **none).train()
    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_2.pth']
