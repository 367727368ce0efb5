"""Data preprocessors: augment and normalize a batch on the device."""

from .batch_preprocessor import BatchPreprocessor
from .crop_flip_preprocessor import CropFlipPreprocessor
from .dali_preprocessor import DaliPreprocessor

__all__ = ['BatchPreprocessor', 'CropFlipPreprocessor', 'DaliPreprocessor']
