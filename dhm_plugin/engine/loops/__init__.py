"""Train loops that a killed training can go on in."""

from .resumable_epoch_loop import ResumableEpochLoop
from .resumable_iter_loop import ResumableIterLoop

__all__ = ['ResumableEpochLoop', 'ResumableIterLoop']
