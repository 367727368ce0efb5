"""Losses."""

from .mimicking_loss import MimickingLoss

__all__ = ['MimickingLoss']
