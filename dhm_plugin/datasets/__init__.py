"""Data sets and transforms."""

from .digits import Digits
from .transforms import *  # noqa: F403

__all__ = ['Digits']
