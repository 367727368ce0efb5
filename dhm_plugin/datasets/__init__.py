"""Data sets and transforms."""

from .digits import Digits
from .in_memory import InMemoryDataset
from .transforms import LoadReadableImage

__all__ = ['Digits', 'InMemoryDataset', 'LoadReadableImage']
