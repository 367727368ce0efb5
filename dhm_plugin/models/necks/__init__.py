"""Necks: the side branches."""

from .side_branch_neck import SideBranchNeck
from .table import with_stages

__all__ = ['SideBranchNeck', 'with_stages']
