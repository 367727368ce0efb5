"""Data sets, samplers and transforms."""

from .digits import Digits
from .in_memory import InMemoryDataset
from .packed import PackedBackend, PackedImageNet
from .part_sampler import InfinitePartSampler
from .transforms import LoadImageFromFile, LoadRandomResizedCrop, LoadReadableImage

__all__ = [
    'Digits',
    'InMemoryDataset',
    'InfinitePartSampler',
    'LoadImageFromFile',
    'LoadRandomResizedCrop',
    'LoadReadableImage',
    'PackedBackend',
    'PackedImageNet',
]
