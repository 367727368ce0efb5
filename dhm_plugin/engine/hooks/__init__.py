"""Hooks."""

from .checkpoint_check_hook import CheckpointCheckHook
from .label_check_hook import LabelCheckHook
from .unreadable_images_hook import UnreadableImagesHook

__all__ = ['CheckpointCheckHook', 'LabelCheckHook', 'UnreadableImagesHook']
