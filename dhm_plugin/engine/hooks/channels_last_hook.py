"""Puts the network into the memory format that convolutions are fastest in."""

import copy
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch.nn.parallel import DistributedDataParallel

from ...checked_arguments import checked_arguments
from ..utils import network_of, optim_wrappers


@HOOKS.register_module()
@checked_arguments
class ChannelsLastHook(Hook):
    """Lay out the weights, and with them all feature maps, as (N, H, W, C) in memory.

    Shapes, keys and results stay as they are, but for rounding. Checkpoints are saved in
    the default layout: nobody who loads one needs to know.
    """

    def before_train(self, runner: Runner) -> None:
        """Convert the network, and the state of the optimizer after a resumption."""
        self._convert(runner)
        if isinstance(runner.model, DistributedDataParallel):
            # It has laid its buckets for the default layout. As after unpickling, it lays
            # them for the weights as they are now; the old ones go with their hooks.
            runner.model.__setstate__(runner.model.__getstate__())
            # What compresses gradients between machines goes with them.
            hooks = runner.model._comm_hooks
            runner.model._comm_hooks = []
            for hook, state in hooks:
                runner.model.register_comm_hook(state, hook)
        for wrapper in optim_wrappers(runner):
            for state in wrapper.optimizer.state.values():
                # A fused optimizer walks through weights and state in memory order.
                for key, value in state.items():
                    if isinstance(value, torch.Tensor) and value.ndim == 4:
                        state[key] = value.to(memory_format=torch.channels_last)

    def before_val(self, runner: Runner) -> None:
        """Convert the network."""
        self._convert(runner)

    def before_test(self, runner: Runner) -> None:
        """Convert the network."""
        self._convert(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Convert what is about to be saved back."""
        for key in ('state_dict', 'ema_state_dict', 'optimizer'):
            if key in checkpoint:
                checkpoint[key] = _in_default_layout(checkpoint[key])

    def _convert(self, runner: Runner) -> None:
        network_of(runner).to(memory_format=torch.channels_last)


def _in_default_layout(value: Any) -> Any:
    """Copy nested containers, their tensors only where needed."""
    if isinstance(value, torch.Tensor):
        return value.contiguous()
    if isinstance(value, dict | list):
        # A copy keeps the type, and the versions that a state dict has as an attribute.
        copied = copy.copy(value)
        for key in value if isinstance(value, dict) else range(len(value)):
            copied[key] = _in_default_layout(value[key])
        return copied
    return value
