"""Puts the network into the memory format that convolutions are fastest in."""

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ..utils import network_of


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Lay out the weights, and with them all feature maps, as (N, H, W, C) in memory.

    Shapes, keys and results stay as they are, but for rounding. Checkpoints are saved in
    the default layout: nobody who loads one needs to know.
    """

    def before_run(self, runner: Runner) -> None:
        """Convert the network, before training, validation or testing."""
        network_of(runner).to(memory_format=torch.channels_last)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Convert the weights that are about to be saved back."""
        for name in ('state_dict', 'ema_state_dict'):
            weights = checkpoint.get(name, {})
            for key, tensor in weights.items():
                weights[key] = tensor.contiguous()
