"""Hooks: checks, logs, memory layout, compiling, label noise, resumption."""

from .branch_charts_hook import BranchChartsHook
from .channels_last_hook import ChannelsLastHook
from .checkpoint_check_hook import CheckpointCheckHook
from .compile_hook import CompileHook
from .consistency_hook import ConsistencyHook
from .deferred_runtime_info_hook import DeferredRuntimeInfoHook
from .label_check_hook import LabelCheckHook
from .resume_hook import ResumeHook
from .unreadable_images_hook import UnreadableImagesHook
from .wrong_labels_hook import WrongLabelsHook

__all__ = [
    'BranchChartsHook',
    'ChannelsLastHook',
    'CheckpointCheckHook',
    'CompileHook',
    'ConsistencyHook',
    'DeferredRuntimeInfoHook',
    'LabelCheckHook',
    'ResumeHook',
    'UnreadableImagesHook',
    'WrongLabelsHook',
]
