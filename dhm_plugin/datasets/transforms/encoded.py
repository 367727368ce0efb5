"""Image files whose crops are decoded later, by DALI."""

from collections.abc import Callable
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image

from .load_image_from_file import decode, ends_as_jpeg
from .netpbm import from_netpbm, to_netpbm


class Crop(NamedTuple):
    """What becomes of an image.

    Attributes:
        window (tuple[float, ...]): Top, left, bottom and right of what is resized, in
            pixels.
        decoded (tuple[int, ...]): The same of what is decoded: the window, and as much
            around it as the filter of the resizing sees.
    """

    window: tuple[float, float, float, float]
    decoded: tuple[int, int, int, int]


def encoded_crop(content: bytes, crop_of: Callable[[tuple[int, int]], Crop]) -> dict:
    """Give a crop of an image as bytes that DALI decodes to what Pillow does.

    Upright JPEGs, grey or of three colours, stay as they are: only their headers are
    read. Of any other image, such as a PNG, a JPEG in CMYK, one that EXIF says to turn or
    one that ends too early, Pillow decodes the crop here. Packed pixels are only cut.

    Args:
        content (bytes): Of the file.
        crop_of (Callable): Gives the :class:`Crop` of an image of this height and width.

    Returns:
        dict: ``img``, the bytes; ``ori_shape``, height and width of the image;
        ``decoded`` and ``window``, as in :class:`Crop`, both in pixels of what the bytes
        hold.

    Raises:
        Exception: As Pillow does, if it cannot read the image.
    """
    shape = _plain_jpeg_shape(content)
    if shape is not None:
        crop = crop_of(shape)
        return dict(img=content, ori_shape=shape, **crop._asdict())
    image = from_netpbm(content)
    if image is None:
        image = decode(content)[:, :, ::-1]
    shape = image.shape[:2]
    window, (top, left, bottom, right) = crop_of(shape)
    return dict(
        img=to_netpbm(image[top:bottom, left:right]),
        ori_shape=shape,
        window=tuple(np.subtract(window, (top, left, top, left)).tolist()),
        decoded=(0, 0, bottom - top, right - left),
    )


def _plain_jpeg_shape(content: bytes) -> tuple[int, int] | None:
    """Give height and width of a JPEG that any decoder takes alike; None of others."""
    if not content.startswith(b'\xff\xd8') or not ends_as_jpeg(content):
        return None
    with Image.open(BytesIO(content)) as image:
        plain = (
            image.format == 'JPEG'  # not MPO, of several images
            and image.mode in ('RGB', 'L')
            # 0: no YCbCr, which decoders on GPUs take it for.
            and image.info.get('adobe_transform') != 0
            and image.getexif().get(ExifTags.Base.Orientation, 1) == 1
        )
        return (image.height, image.width) if plain else None
