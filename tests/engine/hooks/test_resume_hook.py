import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmpretrain.registry import HOOKS

from dhm_plugin import ResumeHook
from dhm_plugin.models.iteration_seed import IterationSeed
from resumption import (
    FORKED,
    STOCK,
    assert_resumes,
    build,
    config,
    train,
)


@pytest.fixture
def killed(tmp_path):
    train(config(), tmp_path / 'work', kill_after=2)
    return tmp_path / 'work'


def resumed(folder, **options):
    """Resume, and give what is warned of and the seed at the end."""
    runner = build(config(**options), folder, resume=True)
    warnings = []
    runner.logger.warning = warnings.append
    runner.train()
    return warnings, runner


def test_nothing_is_warned_of(killed):
    warnings, _ = resumed(killed)
    assert warnings == []


def test_what_differs_is_said_in_one_warning(killed, monkeypatch):
    path = killed / 'iter_2.pth'
    checkpoint = torch.load(path, weights_only=True)
    checkpoint['meta']['processes'] = 8
    torch.save(checkpoint, path)
    options = {'randomness.seed': 1, 'train_dataloader.batch_size': 7}
    warnings, runner = resumed(killed, **options)
    (warning,) = warnings
    assert 'seed was 0, is 1; processes was 8, is 1; batch_size was 4, is 7' in warning
    assert runner.seed == runner.message_hub.get_info('seed') == 1


def test_a_training_that_starts_from_weights_alone_is_a_new_one(killed, tmp_path):
    cfg = config(**{'randomness.seed': 1})
    cfg.load_from = str(killed / 'iter_2.pth')
    runner = build(cfg, tmp_path / 'new')
    warnings = []
    runner.logger.warning = warnings.append
    runner.train()
    assert runner.iter == 8
    assert warnings == []


def test_a_checkpoint_of_somebody_else(killed):
    path = killed / 'iter_2.pth'
    checkpoint = torch.load(path, weights_only=True)
    for key in ('seed', 'processes', 'batch_size', 'batches_of_epoch'):
        del checkpoint['meta'][key]
    torch.save(checkpoint, path)
    warnings, runner = resumed(killed)
    assert warnings == []
    assert runner.epoch == 2


def test_a_checkpoint_hardly_grows(killed):
    checkpoint = torch.load(killed / 'iter_2.pth', weights_only=True)
    stock = {'meta', 'state_dict', 'message_hub', 'optimizer', 'param_schedulers'}
    assert checkpoint.keys() == stock
    ours = dict(processes=1, batch_size=4, accumulative_counts=1, batches_of_epoch=2)
    assert ours.items() <= checkpoint['meta'].items()


def test_gradients_are_there_while_they_are_incomplete(tmp_path):
    options = {'optim_wrapper.accumulative_counts': 3, 'train_cfg.max_epochs': 1}
    options['default_hooks.checkpoint.save_best'] = 'accuracy/top1'
    train(config(**options), tmp_path)
    held = {
        path.stem: len(torch.load(path, weights_only=True).get('gradients', {}))
        for path in tmp_path.glob('*.pth')
    }
    (best,) = (name for name in held if name.startswith('best'))
    assert held[best] == held['iter_3'] == held['iter_4'] == 0
    assert held['iter_1'] == held['iter_2'] > 50


@pytest.mark.parametrize(
    ('changes', 'taken'),
    [
        ({}, True),
        ({'randomness.seed': 8}, True),
        ({'optim_wrapper.accumulative_counts': 2}, False),
        ({'train_dataloader.batch_size': 2}, False),
    ],
)
def test_gradients_of_another_accumulation_are_not_taken(changes, taken, tmp_path):
    """Seen: a third of them was added to a half of others."""
    options = {'optim_wrapper.accumulative_counts': 3}
    train(config(**options), tmp_path, kill_after=1)
    assert 'gradients' in torch.load(tmp_path / 'iter_1.pth', weights_only=True)
    runner = build(config(**(options | changes)), tmp_path, resume=True)
    with_gradients = []

    class Look(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            parameters = runner.model.parameters()
            with_gradients.append(any(p.grad is not None for p in parameters))

    runner.register_hook(Look())
    said = []
    runner.logger.warning = said.append
    runner.train()
    assert with_gradients[0] is taken
    differs = 'accumulative_counts was 3, is 2' in ' '.join(said)
    assert differs is ('optim_wrapper.accumulative_counts' in changes)


def test_it_runs_in_any_training_and_before_other_hooks(killed, tmp_path):
    plain = config(model=dict(type='ImageClassifier'))
    for cfg in (config(), plain, config(hooks=[dict(type='ResumeHook')])):
        hooks = [type(hook) for hook in build(cfg, tmp_path).hooks]
        assert hooks.count(ResumeHook) == 1
        assert hooks[0] is ResumeHook


def test_gradients_are_averaged_before_a_best_one_may_be_saved(tmp_path, monkeypatch):
    averaged = []
    monkeypatch.setattr(
        ResumeHook,
        '_average_gradients',
        lambda hook, runner: averaged.append(runner.iter),
    )
    options = {'optim_wrapper.accumulative_counts': 3}
    # After 4 iterations there is one that was not applied; after the last one none is.
    options['default_hooks.checkpoint'] = dict(type='CheckpointHook', interval=100)
    train(config(**options), tmp_path / 'none')
    assert averaged == []
    options['default_hooks.checkpoint']['save_best'] = 'accuracy/top1'
    train(config(**options), tmp_path / 'best').val()
    assert averaged == [4]


def test_a_checkpoint_without_the_optimizer_says_how_it_was_trained(tmp_path):
    options = {'default_hooks.checkpoint.save_optimizer': False}
    train(config(**options), tmp_path, kill_after=2)
    meta = torch.load(tmp_path / 'iter_1.pth', weights_only=True)['meta']
    assert (meta['processes'], meta['batch_size'], meta['batches_of_epoch']) == (1, 4, 1)


def test_a_validation_alone_needs_no_training_data(tmp_path):
    cfg = config()
    cfg.train_dataloader.dataset = dict(type='CustomDataset', data_root='missing')
    assert 'accuracy/top1' in build(cfg, tmp_path).val()


class OwnHub(Hook):
    """Make a message hub of its own, as MMEngine's documentation shows."""

    def before_run(self, runner):
        MessageHub.get_instance(f'{runner.experiment_name} of a hook')


def test_a_hooks_own_message_hub_changes_nothing(tmp_path, monkeypatch):
    """Seen: forks and augmentation were drawn anew."""
    monkeypatch.setitem(HOOKS.module_dict, 'OwnHub', OwnHub)
    assert_resumes(config(model=FORKED, hooks=[dict(type='OwnHub')]), tmp_path, 5)
    assert IterationSeed.hub is None


@pytest.mark.parametrize('extra', [dict(a=1), [dict(a=1)], (dict(a=dict(b=1)), 2)])
def test_what_a_config_says_of_the_data_is_no_hindrance(extra, tmp_path):
    """Seen: the checkpoint could not be loaded any more."""
    cfg = config(pipeline=STOCK)
    cfg.train_dataloader.dataset.metainfo = dict(extra=extra)
    train(cfg, tmp_path, kill_after=2)
    meta = torch.load(tmp_path / 'iter_2.pth', weights_only=True)['meta']
    assert meta['dataset_meta']['extra'] == extra
    assert train(cfg, tmp_path, resume=True).iter == 8


class SavesItself(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 1:
            runner.save_checkpoint(runner.work_dir, 'own.pth', by_epoch=False)


@pytest.mark.parametrize('processes', [1, 2])
def test_gradients_that_differ_are_not_saved(processes, tmp_path, monkeypatch):
    """Seen: resumed, all processes got those of the first one."""
    options = {'optim_wrapper.accumulative_counts': 4}
    options['default_hooks.checkpoint'] = dict(type='CheckpointHook', interval=100)
    runner = build(config(**options), tmp_path)
    runner.register_hook(SavesItself())
    warnings = []
    runner.logger.warning = warnings.append
    module = 'dhm_plugin.engine.hooks.resume_hook.dist.is_distributed'
    monkeypatch.setattr(module, lambda: processes > 1)
    monkeypatch.setattr(module.replace('is_distributed', 'all_reduce'), lambda *_: None)
    runner.train()
    saved = torch.load(tmp_path / 'own.pth', weights_only=True)
    assert ('gradients' in saved) is (processes == 1)
    assert [w for w in warnings if 'it has none of them' in w] == warnings
    assert len(warnings) == processes - 1


class DrawsHook(Hook):
    """Draws when all is seeded, and before that so many numbers more."""

    def __init__(self, more):
        self.more, self.drawn = more, {}

    def before_run(self, runner):
        torch.rand(self.more)

    def before_train(self, runner):
        self.drawn['training'] = torch.rand(()).item()

    def before_train_epoch(self, runner):
        self.drawn['epoch', runner.epoch] = torch.rand(()).item()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        torch.rand(self.more)

    def before_val_epoch(self, runner):
        self.drawn['validation', runner.iter] = torch.rand(()).item()


def test_whoever_draws_gets_the_same_when_it_goes_on(tmp_path):
    train(config(), tmp_path / 'broken', kill_after=6)
    drawn = []
    for folder, resume in (('unbroken', False), ('broken', True)):
        runner, draws = build(config(), tmp_path / folder, resume), DrawsHook(int(resume))
        runner.register_hook(draws)
        runner.train()
        drawn.append(draws.drawn)
    unbroken, resumed = drawn
    assert {*resumed} == {'training', ('epoch', 1), ('validation', 8)}
    assert resumed.items() <= unbroken.items()
    assert len({*unbroken.values()}) == len(unbroken) == 5
