"""Transforms."""

from .load_readable_image import LoadReadableImage

__all__ = ['LoadReadableImage']
