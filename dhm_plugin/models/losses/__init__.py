"""Losses: the paper's equation."""

from .mimicking_loss import MimickingLoss

__all__ = ['MimickingLoss']
