"""Heads."""

from .multi_branch_cls_head import MultiBranchClsHead

__all__ = ['MultiBranchClsHead']
