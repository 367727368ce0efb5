"""Data preprocessors: augment and normalize a batch on the device."""

from .batch_preprocessor import BatchPreprocessor
from .crop_flip_preprocessor import CropFlipPreprocessor

__all__ = ['BatchPreprocessor', 'CropFlipPreprocessor']
