"""Heads: a classifier for each branch, and the losses of all."""

from .multi_branch_cls_head import MultiBranchClsHead
from .predictions import predictions

__all__ = ['MultiBranchClsHead', 'predictions']
