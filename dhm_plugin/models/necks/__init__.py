"""Necks."""

from .side_branch_neck import SideBranchNeck

__all__ = ['SideBranchNeck']
