"""Heads: a classifier for each branch, and the losses of all."""

from .multi_branch_cls_head import MultiBranchClsHead

__all__ = ['MultiBranchClsHead']
