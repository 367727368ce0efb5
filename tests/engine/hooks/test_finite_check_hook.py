import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.hooks import EMAHook, Hook, LoggerHook
from mmengine.model import ExponentialMovingAverage
from mmpretrain.registry import HOOKS
from mmpretrain.structures import DataSample
from torch import nn

from dhm_plugin import Digits, FiniteCheckHook
from process_group import run_in_two

LATE = {'default_hooks.logger.interval': 100}


@pytest.fixture
def poison():
    """Give a hook that puts a value into a tensor of the runner, after an iteration."""

    @HOOKS.register_module(force=True)
    class PoisonHook(Hook):
        def __init__(self, after, name, value):
            self.after, self.name, self.value = after, name, value

        def after_train_iter(self, runner, *args, **kwargs):
            if runner.iter + 1 == self.after:
                state = runner.model.state_dict()
                state[self.name].view(-1)[0] = self.value

    def options(after, name, value=math.nan):
        return {
            'custom_hooks': [dict(type='PoisonHook', after=after, name=name, value=value)]
        }

    yield options
    HOOKS._module_dict.pop('PoisonHook')


def saved(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


def test_says_which_loss_was_the_first(train, poison, tmp_path):
    options = {**poison(4, 'head.side_fcs.1.weight'), 'train_cfg.max_epochs': 3}
    message = (
        r'^in iteration 5 \(epoch 2\) loss_ce_side1 of branch side1 is nan, and with it '
        r'loss_mimic_side0, loss_mimic_side1, loss_mimic_main, loss\. '
    )
    with pytest.raises(FloatingPointError, match=message):
        train('run', **options, **LATE)
    assert saved(tmp_path / 'run') == ['best_accuracy_top1_epoch_1.pth', 'epoch_1.pth']


def test_by_iterations_too(train, poison, tmp_path):
    options = {
        **poison(2, 'head.fc.bias'),
        'default_hooks.checkpoint.by_epoch': False,
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.checkpoint.max_keep_ckpts': 1,
    }
    with pytest.raises(FloatingPointError, match=r'^after iteration 2 .* head.fc.bias'):
        train('run', **options, **LATE)
    # MMEngine removes the old one before it writes: the training stops before that.
    assert saved(tmp_path / 'run') == ['iter_1.pth']


def test_what_is_not_finite_from_the_start(train, tmp_path, build):
    weights = build('plain/resnet8_1xb64_digits.py').state_dict()
    weights['head.fc.bias'][3] = math.nan
    torch.save(dict(state_dict=weights), tmp_path / 'bad.pth')
    message = r'^before the first iteration NaN or infinity is in head.fc.bias; begin'
    with pytest.raises(FloatingPointError, match=message):
        train('run', 'plain', load_from=str(tmp_path / 'bad.pth'))


class Masked(nn.Module):
    """As attention with a mask."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.register_buffer('mask', torch.full((2, 2), -math.inf).triu(1))


def runner_of(network, length=100, **more):
    """What the hook sees of a runner whose log has a line every ten iterations."""
    settings = dict(
        model=network,
        hooks=[LoggerHook(interval=10)],
        train_dataloader=[None] * length,
        optim_wrapper=None,
        iter=0,
        epoch=0,
        max_iters=10**6,
    )
    return SimpleNamespace(**{**settings, **more})


def run(hook, runner, losses, first=0):
    """Let a hook see the losses of one iteration after the other."""
    for i, loss in enumerate(losses, first):
        runner.iter = i
        hook.after_train_iter(runner, i, outputs=dict(loss=torch.tensor(float(loss))))


@pytest.mark.parametrize('name', ['weight', 'bias', 'running_mean', 'running_var'])
@pytest.mark.parametrize('value', [math.nan, math.inf])
def test_looks_at_weights_and_statistics_before_they_are_saved(name, value):
    network = nn.Sequential(nn.BatchNorm1d(4))
    hook, runner = FiniteCheckHook(), runner_of(network, length=25)
    hook.before_train(runner)
    run(hook, runner, [1.0] * 12)
    getattr(network[0], name).data[2] = value
    message = rf'^after iteration 25 NaN or infinity is in 0\.{name}\. '
    with pytest.raises(FloatingPointError, match=message):
        run(hook, runner, [1.0] * 13, first=12)


def test_a_mask_may_be_infinite():
    hook, network = FiniteCheckHook(), Masked()
    hook.before_train(runner_of(network))
    hook.before_save_checkpoint(runner_of(network), dict(state_dict=network.state_dict()))
    network.fc.weight.data[0] = 1e30  # whose square is infinite, and which is not
    hook.before_save_checkpoint(runner_of(network), dict(state_dict=network.state_dict()))
    network.fc.weight.data[0] = math.inf
    with pytest.raises(FloatingPointError, match=r'after iteration 7 .* in fc.weight\. '):
        hook.before_save_checkpoint(
            runner_of(network), dict(state_dict=network.state_dict(), meta=dict(iter=7))
        )


def test_a_mask_may_not_be_nan():
    network = Masked()
    network.mask[0, 0] = math.nan
    message = r'^before the first iteration NaN or infinity is in mask; begin'
    with pytest.raises(FloatingPointError, match=message):
        FiniteCheckHook().before_train(runner_of(network))


def test_looks_at_the_average_too():
    network = Masked()
    hook, ema = FiniteCheckHook(), EMAHook()
    ema.src_model, ema.ema_model = network, ExponentialMovingAverage(network)
    for _ in range(2):  # of one runner, a second training
        hook.before_train(runner_of(network))
    sound = dict(state_dict=network.state_dict())
    ema.before_save_checkpoint(runner_of(network), sound)
    hook.before_save_checkpoint(runner_of(network), sound)
    ema.ema_model.module.fc.bias.data[0] = math.nan
    checkpoint = dict(state_dict=network.state_dict())
    ema.before_save_checkpoint(runner_of(network), checkpoint)
    with pytest.raises(FloatingPointError, match=r'NaN or infinity is in fc.bias\. '):
        hook.before_save_checkpoint(runner_of(network), checkpoint)
    assert FiniteCheckHook.priority == 'LOW'  # so EMAHook has been there


def test_a_skipped_step_of_float16_is_no_fault():
    scaled = SimpleNamespace(loss_scaler=torch.amp.GradScaler('cpu'))
    hook, runner = FiniteCheckHook(), runner_of(Masked(), optim_wrapper=scaled)
    hook.before_train(runner)
    run(hook, runner, [1.0, math.inf, 1.0, *[math.nan] * 29, 1.0, *[math.nan] * 7])
    run(hook, runner, [1.0] * 10, first=40)
    with pytest.raises(FloatingPointError, match=r'^in iteration 53 \(epoch 1\) loss is'):
        run(hook, runner, [1.0, 1.0, *[math.inf] * 38], first=50)


def test_one_that_broke_the_statistics_of_a_norm_layer_is():
    network = nn.Sequential(nn.BatchNorm1d(2))
    scaled = SimpleNamespace(loss_scaler=torch.amp.GradScaler('cpu'))
    hook = FiniteCheckHook()
    runner = runner_of(network, length=10, optim_wrapper=scaled)
    hook.before_train(runner)
    network[0].running_var[0] = math.inf
    message = r'^after iteration 10 .* in 0.running_var \(in iteration 4 .* loss is nan\)'
    with pytest.raises(FloatingPointError, match=message):
        run(hook, runner, [1.0, 1.0, 1.0, math.nan, *[1.0] * 6])


@pytest.mark.one_stack
def test_the_images_are_named(train, monkeypatch):
    """Those of the first such batch, where the data set gives floats."""

    def as_floats(self):
        infos = load(self)
        for i, info in enumerate(infos):
            info['img'] = info['img'].astype(np.float32)
            info['img_path'] = f'folder/{i}.tif'
            if i in (250, 270, 600):
                info['img'][3, 3] = math.inf
        return infos

    load = Digits.load_data_list
    monkeypatch.setattr(Digits, 'load_data_list', as_floats)
    dataset = dict(
        _delete_=True,
        type='Digits',
        split='train',
        indices=717,
        pipeline=[dict(type='PackInputs')],
    )
    options = {
        'train_dataloader.dataset': dataset,
        'train_dataloader.sampler.shuffle': False,
        **LATE,
    }
    message = (
        r'^in iteration 2 \(epoch 1\) loss_ce_side0 .*; NaN or infinity is in its '
        r'images: folder/250\.tif, folder/270\.tif\. '
    )
    with pytest.raises(FloatingPointError, match=message):
        train('run', **options)


def test_an_image_of_a_whole_batch_is_named_by_its_place():
    images = torch.zeros(4, 8, 8, 1)
    images[2, 3, 3] = math.inf
    batch = dict(inputs=[images], data_samples=[DataSample()])
    hook, runner = FiniteCheckHook(), runner_of(Masked(), length=1)
    hook.before_train(runner)
    message = 'NaN or infinity is in its images: image 2 of its batch'
    with pytest.raises(FloatingPointError, match=message):
        hook.after_train_iter(runner, 0, batch, dict(loss=torch.tensor(math.nan)))


def test_looks_after_the_last_iteration():
    hook, runner = FiniteCheckHook(), runner_of(Masked(), max_iters=5)
    hook.before_train(runner)
    with pytest.raises(FloatingPointError, match=r'^in iteration 5 '):
        run(hook, runner, [1.0, 1.0, 1.0, 1.0, math.nan])


def test_keeps_no_graph():
    hook, runner = FiniteCheckHook(), runner_of(Masked())
    loss = torch.ones(2, requires_grad=True).sum()
    hook.after_train_iter(runner, 0, outputs=dict(loss=loss))
    assert hook._kept[0].losses['loss'].grad_fn is None


def test_all_is_kept_but_where_the_log_has_no_lines():
    hook, runner = FiniteCheckHook(), runner_of(Masked(), length=10**6, hooks=[])
    hook.before_train(runner)
    run(hook, runner, [*[1.0] * 400, math.nan, *[1.0] * 598])
    with pytest.raises(FloatingPointError, match=r'^in iteration 401 '):
        run(hook, runner, [1.0], first=999)


def _process(rank, folder):
    hook, runner = FiniteCheckHook(), runner_of(Masked())
    hook.before_train(runner)
    bad = [math.nan] * 2 if rank == 0 else [math.inf] * 4
    losses = [1.0] * (10 - len(bad)) + bad
    message = r'^in iteration 7 .* loss is inf \(in process 1 of 2\)\. '
    with pytest.raises(FloatingPointError, match=message):
        run(hook, runner, losses)
    losses = [1.0] * 9 + [math.nan if rank == 0 else 1.0]
    message = r'^in iteration 20 .* loss is nan \(in process 0 of 2\)\. '
    with pytest.raises(FloatingPointError, match=message):
        run(hook, runner, losses, first=10)
    losses = [1.0] * 8 + [math.nan if rank == 0 else 1.0, math.nan]
    message = r'^in iteration 99 .* loss is nan \(in process 0 of 2\)\. '
    with pytest.raises(FloatingPointError, match=message):
        run(hook, runner, losses, first=90)


@pytest.mark.one_stack
def test_all_processes_stop(tmp_path):
    run_in_two(_process, tmp_path)
