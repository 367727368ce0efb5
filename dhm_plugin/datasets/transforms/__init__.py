"""Transforms: loading, and loading with a crop."""

from .load_encoded_center_crop import LoadEncodedCenterCrop
from .load_encoded_random_resized_crop import LoadEncodedRandomResizedCrop
from .load_image_from_file import LoadImageFromFile
from .load_random_resized_crop import LoadRandomResizedCrop
from .load_readable_image import LoadReadableImage
from .pack_encoded_inputs import PackEncodedInputs

__all__ = [
    'LoadEncodedCenterCrop',
    'LoadEncodedRandomResizedCrop',
    'LoadImageFromFile',
    'LoadRandomResizedCrop',
    'LoadReadableImage',
    'PackEncodedInputs',
]
