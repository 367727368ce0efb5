"""Necks: the side branches."""

from .side_branch_neck import SideBranchNeck

__all__ = ['SideBranchNeck']
