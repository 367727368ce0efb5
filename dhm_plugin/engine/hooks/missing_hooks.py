"""The hooks that run in any training, named in its config or not."""

from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner
from mmpretrain.models import ImageClassifier
from torch import nn

from ...models import DaliPreprocessor, DHMClassifier
from ..utils import network_of
from .broadcast_buffers_hook import BroadcastBuffersHook
from .checkpoint_check_hook import CheckpointCheckHook
from .decode_ahead_hook import DecodeAheadHook
from .due_validation_hook import DueValidationHook
from .end_with_launcher_hook import EndWithLauncherHook
from .finite_check_hook import FiniteCheckHook
from .label_check_hook import LabelCheckHook
from .resume_hook import ResumeHook
from .skipped_steps_hook import SkippedStepsHook
from .whole_checkpoint_hook import WholeCheckpointHook
from .work_dir_lock_hook import WorkDirLockHook

# Hooks of MMEngine to what they become.
STOCK_TO_OURS = {CheckpointHook: WholeCheckpointHook}

# Without them something of a training would be lost, or something wrong would train or be
# tested unseen. By the network, or its data preprocessor, that needs them.
_ALWAYS = {
    nn.Module: (
        WorkDirLockHook,
        ResumeHook,
        BroadcastBuffersHook,
        DueValidationHook,
        EndWithLauncherHook,
        SkippedStepsHook,
    ),
    ImageClassifier: (FiniteCheckHook,),
    DHMClassifier: (LabelCheckHook, CheckpointCheckHook),
    DaliPreprocessor: (DecodeAheadHook,),
}


def missing_hooks(runner: Runner) -> list[Hook]:
    """Give the hooks that must run and are not in the config.

    Args:
        runner (Runner): With its network, and the hooks of its config.

    Returns:
        list[Hook]: Those that its network needs, unless they are there.
    """
    network = network_of(runner)
    parts = network, getattr(network, 'data_preprocessor', None)
    there = {type(hook) for hook in runner.hooks}
    needed = [
        kind
        for owner, kinds in _ALWAYS.items()
        if any(isinstance(part, owner) for part in parts)
        for kind in kinds
    ]
    return [kind() for kind in needed if kind not in there]
