"""Lets all processes validate the network that the first one saves."""

from mmengine import dist
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...checked_arguments import checked_arguments
from ..utils import network_of


@HOOKS.register_module()
@checked_arguments
class BroadcastBuffersHook(Hook):
    """Before a validation, give all processes the buffers of the first one.

    Norm layers that are not synchronized have other statistics in each process, and a
    checkpoint holds those of the first one. With them all, the validation measures what
    is saved, and a resumed training measures it again.

    It need not be named: it runs in every training.
    """

    # After hooks that validate other weights, such as EMAHook.
    priority = 'LOWEST'

    def before_val_epoch(self, runner: Runner) -> None:
        """Copy them."""
        for buffer in network_of(runner).buffers():
            dist.broadcast(buffer)
