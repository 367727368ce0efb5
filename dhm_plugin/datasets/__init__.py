"""Data sets, samplers and transforms."""

from .digits import Digits
from .in_memory import InMemoryDataset
from .packed import PackedBackend, PackedImageNet
from .part_sampler import InfinitePartSampler
from .transforms import (
    LoadEncodedCenterCrop,
    LoadEncodedRandomResizedCrop,
    LoadImageFromFile,
    LoadRandomResizedCrop,
    LoadReadableImage,
    PackEncodedInputs,
)

__all__ = [
    'Digits',
    'InMemoryDataset',
    'InfinitePartSampler',
    'LoadEncodedCenterCrop',
    'LoadEncodedRandomResizedCrop',
    'LoadImageFromFile',
    'LoadRandomResizedCrop',
    'LoadReadableImage',
    'PackEncodedInputs',
    'PackedBackend',
    'PackedImageNet',
]
