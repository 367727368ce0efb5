"""Metrics of every branch."""

from .branch_accuracy import BranchAccuracy
from .branch_losses import BranchLosses

__all__ = ['BranchAccuracy', 'BranchLosses']
