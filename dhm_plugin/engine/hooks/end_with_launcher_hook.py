"""Ends a process of torchrun when torchrun is killed."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch.distributed import is_torchelastic_launched

from ...checked_arguments import checked_arguments
from ..end_with_parent import end_with_parent


@HOOKS.register_module()
@checked_arguments
class EndWithLauncherHook(Hook):
    """End with torchrun's agent, which may be killed without a word to its processes.

    They would go on, hold their GPUs and write into the work folder. Their data loaders'
    workers end by themselves a few seconds after them. On Linux, and where torchrun has
    started this process itself: of a shell script between them, nobody knows.
    """

    def before_run(self, runner: Runner) -> None:
        """Let this process end with its parent, if that is torchrun."""
        if is_torchelastic_launched():
            end_with_parent()
