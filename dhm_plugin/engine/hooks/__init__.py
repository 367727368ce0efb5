"""Hooks: checks, checkpoints, logs of the branches, layout, compiling, label noise."""

from .branch_charts_hook import BranchChartsHook
from .channels_last_hook import ChannelsLastHook
from .checkpoint_check_hook import CheckpointCheckHook
from .compile_hook import CompileHook
from .consistency_hook import ConsistencyHook
from .deferred_runtime_info_hook import DeferredRuntimeInfoHook
from .due_validation_hook import DueValidationHook
from .label_check_hook import LabelCheckHook
from .unreadable_images_hook import UnreadableImagesHook
from .whole_checkpoint_hook import WholeCheckpointHook
from .work_dir_lock_hook import WorkDirLockHook
from .wrong_labels_hook import WrongLabelsHook

__all__ = [
    'BranchChartsHook',
    'ChannelsLastHook',
    'CheckpointCheckHook',
    'CompileHook',
    'ConsistencyHook',
    'DeferredRuntimeInfoHook',
    'DueValidationHook',
    'LabelCheckHook',
    'UnreadableImagesHook',
    'WholeCheckpointHook',
    'WorkDirLockHook',
    'WrongLabelsHook',
]
