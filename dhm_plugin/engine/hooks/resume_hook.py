"""Lets a training that was killed go on as if it had not been."""

from collections import OrderedDict
from typing import Any

import torch
from mmengine import ConfigDict, dist
from mmengine.hooks import CheckpointHook, Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, Runner
from mmpretrain.registry import HOOKS

from ...checked_arguments import checked_arguments
from ...models.iteration_seed import IterationSeed
from ...seeds import EPOCH, ITERATION, TRAINING, VALIDATION, seed_process
from ..loops import ResumableEpochLoop
from ..utils import batch_size_of, checkpoint_is_due, network_of, optim_wrappers


@HOOKS.register_module()
@checked_arguments
class ResumeHook(Hook):
    """Let a resumed training compute what the unbroken one would have, bit for bit.

    - Before each iteration, epoch and validation, Python, NumPy and PyTorch are seeded
      from the training's seed and the iteration: of their state nothing has to be saved.
    - A checkpoint says how many batches of its epoch were done, on how many processes and
      of how many images, and holds the gradients of an accumulation that was not
      complete.
    - Another seed, number of processes, batch size or ``accumulative_counts`` is said in
      one warning; the training then goes on, with what the config says. Incomplete
      gradients of other batches or counts are not taken.

    It runs in every training; a config need not name it.
    """

    # Before any hook that draws.
    priority = 'HIGHEST'

    def __init__(self) -> None:
        self._gradients: dict[str, torch.Tensor] = {}
        # When all processes had the mean of their gradients.
        self._averaged: int | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare with the training that saved it, and take what is left of it."""
        if not runner._resume:
            return
        gradients = checkpoint.pop('gradients', {})
        meta = checkpoint.get('meta', {})
        now = {'seed': runner._randomness_cfg.get('seed'), **_plan(runner)}
        differing = {
            key: f'{key} was {meta[key]}, is {value}'
            for key, value in now.items()
            if value is not None and meta.get(key, value) != value
        }
        if differing:
            runner.logger.warning(
                'The training goes on, but will not be the same as if it had not ended: '
                + '; '.join(differing.values())
            )
        if 'seed' in differing:
            # MMEngine would warn too, and take the other one where it is not too late.
            meta['seed'] = now['seed']
        loop = runner.train_loop
        # Of another batch size, the batches of an epoch are other ones: it begins anew.
        same_batches = not differing.keys() & {'processes', 'batch_size'}
        if isinstance(loop, ResumableEpochLoop) and same_batches:
            loop.batches_done = meta.get('batches_of_epoch', 0)
        # Each is a part of the sum, by the number of iterations that it was to have.
        same_parts = same_batches and 'accumulative_counts' not in differing
        self._gradients = gradients if same_parts else {}

    def before_train(self, runner: Runner) -> None:
        """Seed, and put the gradients of an incomplete accumulation back."""
        IterationSeed.hub = runner.message_hub
        # The checkpoint's history holds that of the first process.
        runner.message_hub.update_info('seed', runner.seed)
        seed_process(runner.seed, TRAINING)
        if self._gradients:  # MMEngine warns that they are lost
            runner.logger.info("The gradients accumulated so far are the checkpoint's")
        for name, parameter in network_of(runner).named_parameters():
            if name in self._gradients:
                parameter.grad = self._gradients.pop(name).to(parameter)

    def after_train(self, runner: Runner) -> None:
        """Leave no training behind."""
        IterationSeed.hub = None

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed."""
        seed_process(runner.seed, EPOCH, runner.epoch)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Seed."""
        seed_process(runner.seed, ITERATION, runner.iter)

    def before_val_epoch(self, runner: Runner) -> None:
        """Seed, and average incomplete gradients: a new best one saves a checkpoint."""
        loop = runner._train_loop
        # Of a validation alone: asked for it, the runner would build the training.
        iteration = loop.iter if isinstance(loop, BaseLoop) else 0
        seed_process(runner.seed, VALIDATION, iteration)
        if _accumulates(runner) and _saves_best(runner):
            self._average_gradients(runner)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Average incomplete gradients if a checkpoint is due."""
        if _accumulates(runner) and checkpoint_is_due(runner, by_epoch=False):
            self._average_gradients(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Average incomplete gradients if a checkpoint is due."""
        if _accumulates(runner) and checkpoint_is_due(runner, by_epoch=True):
            self._average_gradients(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add what a training needs to go on."""
        loop = runner.train_loop
        # A data set's metainfo may be of a config, whose types are refused at loading.
        checkpoint['message_hub'] = _plain(checkpoint['message_hub'])
        meta = checkpoint['meta'] = _plain(checkpoint['meta'])
        meta.update(_plan(runner))
        if isinstance(loop, ResumableEpochLoop):
            done = loop.batches_of_epoch(meta['epoch'], meta['iter'])
            meta['batches_of_epoch'] = done
        # Nobody goes on from one without the optimizer, such as the best one.
        if 'optimizer' in checkpoint and _accumulates(runner):
            if dist.is_distributed() and self._averaged != runner.iter:
                runner.logger.warning(
                    'The checkpoint is saved within an accumulation of gradients by '
                    'something else than CheckpointHook; it has none of them, for they '
                    'differ from process to process'
                )
                return
            checkpoint['gradients'] = {
                name: parameter.grad.cpu().contiguous()
                for name, parameter in network_of(runner).named_parameters()
                if parameter.grad is not None
            }

    def _average_gradients(self, runner: Runner) -> None:
        """Let all processes have the mean of their gradients, of which one is saved.

        The sum of all iterations has the same mean; before it is complete, each process
        has its own part.
        """
        self._averaged = runner.iter
        if dist.is_distributed():
            for parameter in network_of(runner).parameters():
                if parameter.grad is not None:
                    dist.all_reduce(parameter.grad, 'mean')


def _plain(value: Any) -> Any:
    """Turn a config's dicts into Python's, in nested containers."""
    if isinstance(value, ConfigDict):
        value = value.to_dict()
    if type(value) in (dict, OrderedDict):
        return type(value)((key, _plain(part)) for key, part in value.items())
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    return value


def _plan(runner: Runner) -> dict[str, int | list[int] | None]:
    """Give what must stay, under the words of the warning."""
    counts = [getattr(x, '_accumulative_counts', 1) for x in optim_wrappers(runner)]
    return dict(
        processes=dist.get_world_size(),
        batch_size=batch_size_of(runner.train_dataloader),
        accumulative_counts=counts if len(counts) > 1 else counts[0],
    )


def _accumulates(runner: Runner) -> bool:
    """Whether the gradients wait for those of further iterations."""
    return any(
        isinstance(wrapper, OptimWrapper) and not wrapper.should_update()
        for wrapper in optim_wrappers(runner)
    )


def _saves_best(runner: Runner) -> bool:
    """Whether a validation may lead to a checkpoint."""
    return any(
        isinstance(hook, CheckpointHook) and hook.save_best for hook in runner.hooks
    )
