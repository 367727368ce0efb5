"""Keeps steps that float16's loss scale skips out of fused SGD."""

import torch
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch.optim import SGD

from ...checked_arguments import checked_arguments
from ..utils import optim_wrappers


@HOOKS.register_module()
@checked_arguments
class SkippedStepsHook(Hook):
    """Let the loss scale itself skip the steps of fused SGD.

    PyTorch leaves it to a fused optimizer to skip a step whose gradients are infinite, as
    the first ones in float16 often are. Its SGD (2.14) then keeps a momentum that nobody
    has written, and the weights get what was in memory. Skipped by the loss scale, as
    for optimizers that are not fused, an iteration waits for the GPU once. It cannot skip
    those of float16 weights: they stay as they are.
    """

    def before_train(self, runner: Runner) -> None:
        """Tell the loss scale that SGD does not skip steps."""
        for wrapper in optim_wrappers(runner):
            optimizer = wrapper.optimizer
            if (
                isinstance(wrapper, AmpOptimWrapper)
                and isinstance(optimizer, SGD)
                and not any(
                    weight.dtype == torch.float16
                    for group in optimizer.param_groups
                    for weight in group['params']
                )
            ):
                optimizer._step_supports_amp_scaling = False
