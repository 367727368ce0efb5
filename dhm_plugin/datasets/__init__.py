"""Data sets and transforms."""

from .digits import Digits
from .in_memory import InMemoryDataset
from .transforms import LoadRandomResizedCrop, LoadReadableImage

__all__ = ['Digits', 'InMemoryDataset', 'LoadRandomResizedCrop', 'LoadReadableImage']
