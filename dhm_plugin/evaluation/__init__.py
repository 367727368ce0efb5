"""Metrics of every branch."""

from .branch_accuracy import BranchAccuracy
from .branch_divergences import BranchDivergences
from .calibration import Calibration

__all__ = ['BranchAccuracy', 'BranchDivergences', 'Calibration']
