"""Data preprocessors."""

from .crop_flip_preprocessor import CropFlipPreprocessor

__all__ = ['CropFlipPreprocessor']
