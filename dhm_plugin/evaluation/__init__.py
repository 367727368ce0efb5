"""Metrics of every branch."""

from .branch_accuracy import BranchAccuracy
from .branch_losses import BranchLosses
from .calibration import Calibration

__all__ = ['BranchAccuracy', 'BranchLosses', 'Calibration']
