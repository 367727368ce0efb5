"""Transforms: loading, and loading with a crop."""

from .load_image_from_file import LoadImageFromFile
from .load_random_resized_crop import LoadRandomResizedCrop
from .load_readable_image import LoadReadableImage

__all__ = ['LoadImageFromFile', 'LoadRandomResizedCrop', 'LoadReadableImage']
