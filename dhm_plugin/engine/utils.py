"""What several hooks use."""

from typing import Any

from mmengine.hooks import CheckpointHook, LoggerHook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader


def network_of(runner: Runner) -> nn.Module:
    """Give the runner's network without what wraps it.

    Args:
        runner (Runner): The runner.

    Returns:
        nn.Module: The model inside distributed wrappers and test-time augmentation.
    """
    model = runner.model
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def optim_wrappers(runner: Runner) -> list[Any]:
    """Give the runner's optimizer wrapper, or those that one holds.

    Args:
        runner (Runner): The runner.

    Returns:
        list[Any]: Of MMEngine's ``OptimWrapper``, as a rule.
    """
    wrapper = runner.optim_wrapper
    return [*wrapper.values()] if isinstance(wrapper, OptimWrapperDict) else [wrapper]


def batch_size_of(loader: DataLoader) -> int | None:
    """Give how many images a batch of a data loader has; the last one may have fewer.

    Args:
        loader (DataLoader): The data loader.

    Returns:
        int | None: Their number; None if its batch sampler does not say it.
    """
    return getattr(loader.batch_sampler, 'batch_size', loader.batch_size)


def log_is_due(runner: Runner, batch_idx: int) -> bool:
    """Tell whether there is a line of the log after this iteration.

    Args:
        runner (Runner): The runner.
        batch_idx (int): Of the iteration, as hooks get it.

    Returns:
        bool: Whether a ``LoggerHook`` of the runner writes one.
    """
    return any(
        hook.every_n_inner_iters(batch_idx, hook.interval)
        for hook in runner.hooks
        if isinstance(hook, LoggerHook)
    )


def checkpoint_is_due(runner: Runner, by_epoch: bool) -> bool:
    """Tell whether a checkpoint is saved after this iteration, or this epoch.

    Args:
        runner (Runner): The runner.
        by_epoch (bool): Whether after the epoch.

    Returns:
        bool: Whether a ``CheckpointHook`` of the runner saves one; not by a validation.
    """
    for hook in runner.hooks:
        if not isinstance(hook, CheckpointHook) or hook.by_epoch != by_epoch:
            continue
        every, last = (
            (hook.every_n_epochs, hook.is_last_train_epoch)
            if by_epoch
            else (hook.every_n_train_iters, hook.is_last_train_iter)
        )
        if every(runner, hook.interval, hook.save_begin) or (
            hook.save_last and last(runner)
        ):
            return True
    return False
