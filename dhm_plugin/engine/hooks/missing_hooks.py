"""The hooks that run in any training, named in its config or not."""

from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

from ...models import DHMClassifier
from ..utils import network_of
from .checkpoint_check_hook import CheckpointCheckHook
from .due_validation_hook import DueValidationHook
from .label_check_hook import LabelCheckHook
from .whole_checkpoint_hook import WholeCheckpointHook
from .work_dir_lock_hook import WorkDirLockHook

# Hooks of MMEngine to what they become.
STOCK_TO_OURS = {CheckpointHook: WholeCheckpointHook}

# Without them something of a training would be lost.
_ALWAYS = (WorkDirLockHook, DueValidationHook)
# Without them something wrong would train or be tested unseen.
_OF_SIDE_BRANCHES = (LabelCheckHook, CheckpointCheckHook)


def missing_hooks(runner: Runner) -> list[Hook]:
    """Give the hooks that must run and are not in the config.

    Args:
        runner (Runner): With its network, and the hooks of its config.

    Returns:
        list[Hook]: :class:`WorkDirLockHook` and :class:`DueValidationHook`; for a
        :class:`DHMClassifier` also :class:`LabelCheckHook` and
        :class:`CheckpointCheckHook`. Those that are there are left out.
    """
    needed = _ALWAYS
    if isinstance(network_of(runner), DHMClassifier):
        needed += _OF_SIDE_BRANCHES
    there = {type(hook) for hook in runner.hooks}
    return [kind() for kind in needed if kind not in there]
