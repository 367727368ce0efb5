"""Data sets and transforms."""

from .digits import Digits
from .transforms import LoadReadableImage

__all__ = ['Digits', 'LoadReadableImage']
