"""Loading, random resized crop and flip in one: little more is done than is needed."""

from io import BytesIO
from types import SimpleNamespace

import mmcv
import numpy as np
import simplejpeg
from mmpretrain.datasets.transforms import RandomResizedCrop
from mmpretrain.registry import TRANSFORMS
from PIL import ExifTags, Image

from ...checked_arguments import checked_arguments
from .bilinear import bilinear
from .load_image_from_file import decode
from .load_readable_image import LoadReadableImage
from .netpbm import from_netpbm

# How much larger than the result a crop decoded at reduced scale must at least be, to be
# near a crop of the whole image.
_MARGIN = 1.25


@TRANSFORMS.register_module()
@checked_arguments
class LoadRandomResizedCrop(LoadReadableImage):
    """Load an image from file, and crop, resize and flip it at random.

    The same distribution, and but for rounding (2 of 255 grey levels) the same pixels, as
    ``LoadReadableImage``, ``RandomResizedCrop(backend='pillow')`` and ``RandomFlip``.
    JPEGs are decoded by libjpeg-turbo through simplejpeg, at 1/2, 1/4 or 1/8 where the
    crop is so large, and resized by PyTorch's vectorized bilinear filter. A crop at
    reduced scale begins at a whole pixel of it, and is sharper by about 1 grey level in
    the mean. Packed pixels are only cut. Any other image is decoded by Pillow. Unreadable
    images are skipped, named and counted.

    Args:
        scale (int | tuple[int, int]): Height and width of the result, in pixels.
        crop_ratio_range (tuple[float, float]): As in ``RandomResizedCrop``: area of the
            crop over that of the image. Defaults to (0.08, 1.0).
        aspect_ratio_range (tuple[float, float]): Width over height of the crop. Defaults
            to (3 / 4, 4 / 3).
        backend_args (dict, optional): The file backend, as in ``LoadImageFromFile``.
            Defaults to None.
        flip_prob (float): Probability of a horizontal flip. Defaults to 0.0.

    Raises:
        ValueError: If ``flip_prob`` is not from 0 to 1.
    """

    def __init__(
        self,
        scale: int | tuple[int, int],
        crop_ratio_range: tuple[float, float] = (0.08, 1.0),
        aspect_ratio_range: tuple[float, float] = (3 / 4, 4 / 3),
        backend_args: dict | None = None,
        flip_prob: float = 0.0,
    ) -> None:
        if not 0 <= flip_prob <= 1:
            raise ValueError(
                f'LoadRandomResizedCrop: flip_prob={flip_prob}; it must be from 0 to 1'
            )
        super().__init__(backend_args=backend_args)
        self.crop = RandomResizedCrop(scale, crop_ratio_range, aspect_ratio_range)
        self.flip_prob = flip_prob

    def load(self, results: dict) -> dict:
        """Add ``img``, BGR, uint8 (H, W, 3), and the shapes to the results."""
        content = self._content(results['img_path'])
        image, results['ori_shape'] = self._cropped(content)
        resized = bilinear(np.ascontiguousarray(image), self.crop.scale)
        results.update(self._draw_flip())
        if results['flip']:
            resized = resized.flip(-1)
        results['img'] = resized.permute(1, 2, 0).numpy()
        results['img_shape'] = self.crop.scale
        return results

    def _cropped(self, content: bytes) -> tuple[np.ndarray, tuple[int, int]]:
        """Give the crop of the image, and the shape of the image."""
        drawn = None
        if _is_upright_jpeg(content):
            try:
                shape = simplejpeg.decode_jpeg_header(content)[:2]
                drawn = self._draw(shape)
                return self._cropped_jpeg(content, shape, drawn), shape
            except ValueError:
                pass  # CMYK, or damaged; Pillow decides whether it can be read.
        pixels = from_netpbm(content)
        image = decode(content) if pixels is None else pixels
        top, left, height, width = drawn or self._draw(image.shape[:2])
        crop = image[top : top + height, left : left + width]
        return crop if pixels is None else mmcv.rgb2bgr(crop), image.shape[:2]

    def _cropped_jpeg(
        self, content: bytes, shape: tuple[int, int], drawn: tuple[int, int, int, int]
    ) -> np.ndarray:
        top, left, height, width = drawn
        scale = min(height / self.crop.scale[0], width / self.crop.scale[1])
        factor = next((f for f in (8, 4, 2) if scale >= f * _MARGIN), 1)
        image = simplejpeg.decode_jpeg(
            content,
            colorspace='BGR',
            min_height=-(-shape[0] // factor),
            min_width=-(-shape[1] // factor),
            min_factor=factor,
        )
        rows = slice(round(top / factor), round((top + height) / factor))
        columns = slice(round(left / factor), round((left + width) / factor))
        return image[rows, columns]

    def _draw(self, shape: tuple[int, int]) -> tuple[int, int, int, int]:
        """Draw top, left, height and width of a crop, as ``RandomResizedCrop`` does."""
        return self.crop.rand_crop_params(SimpleNamespace(shape=shape))

    def _draw_flip(self) -> dict:
        """Draw the flip as ``RandomFlip`` does, in a tenth of its time."""
        flip = self.flip_prob > 0 and bool(np.random.random() < self.flip_prob)
        return dict(flip=flip, flip_direction='horizontal' if flip else None)

    def __repr__(self) -> str:
        """Show the settings where the pipeline is printed."""
        return f'{type(self).__name__}(crop={self.crop!r}, flip_prob={self.flip_prob})'


def _is_upright_jpeg(content: bytes) -> bool:
    """Whether these are the bytes of a JPEG that neither EXIF nor XMP says to turn."""
    if not content.startswith(b'\xff\xd8'):
        return False
    # Of most files Pillow need not read the header.
    if b'Exif' not in content and b'tiff:Orientation' not in content:
        return True
    with Image.open(BytesIO(content)) as image:
        return image.getexif().get(ExifTags.Base.Orientation, 1) == 1
