"""Losses: the paper's equation, and the objective that it is a part of."""

from .mimicking_loss import MimickingLoss
from .objective import accuracies, check_losses, objective, target_of

__all__ = [
    'MimickingLoss',
    'accuracies',
    'check_losses',
    'objective',
    'target_of',
]
