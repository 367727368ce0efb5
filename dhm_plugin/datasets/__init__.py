"""Data sets, samplers and transforms."""

from . import transforms
from .digits import Digits
from .in_memory import InMemoryDataset
from .packed import PackedBackend, PackedImageNet
from .part_sampler import InfinitePartSampler
from .transforms import *  # noqa: F403

__all__ = [
    'Digits',
    'InMemoryDataset',
    'InfinitePartSampler',
    'PackedBackend',
    'PackedImageNet',
    *transforms.__all__,
]
