"""Hooks: checks, checkpoints, resumption, logs and schedules of branches, layout."""

from .branch_charts_hook import BranchChartsHook
from .branch_schedule_hook import BranchScheduleHook
from .broadcast_buffers_hook import BroadcastBuffersHook
from .channels_last_hook import ChannelsLastHook
from .checkpoint_check_hook import CheckpointCheckHook
from .compile_hook import CompileHook
from .consistency_hook import ConsistencyHook
from .decode_ahead_hook import DecodeAheadHook
from .deferred_runtime_info_hook import DeferredRuntimeInfoHook
from .due_validation_hook import DueValidationHook
from .end_with_launcher_hook import EndWithLauncherHook
from .finite_check_hook import FiniteCheckHook
from .label_check_hook import LabelCheckHook
from .resume_hook import ResumeHook
from .skipped_steps_hook import SkippedStepsHook
from .unreadable_images_hook import UnreadableImagesHook
from .whole_checkpoint_hook import WholeCheckpointHook
from .work_dir_lock_hook import WorkDirLockHook
from .wrong_labels_hook import WrongLabelsHook

__all__ = [
    'BranchChartsHook',
    'BranchScheduleHook',
    'BroadcastBuffersHook',
    'ChannelsLastHook',
    'CheckpointCheckHook',
    'CompileHook',
    'ConsistencyHook',
    'DecodeAheadHook',
    'DeferredRuntimeInfoHook',
    'DueValidationHook',
    'EndWithLauncherHook',
    'FiniteCheckHook',
    'LabelCheckHook',
    'ResumeHook',
    'SkippedStepsHook',
    'UnreadableImagesHook',
    'WholeCheckpointHook',
    'WorkDirLockHook',
    'WrongLabelsHook',
]
