"""Loading that names what cannot be read, and keeps images of 16 bits."""

from io import BytesIO

import mmcv
import numpy as np
from mmengine import fileio
from mmpretrain.datasets import transforms
from mmpretrain.registry import TRANSFORMS
from PIL import Image, ImageOps, UnidentifiedImageError

from ...checked_arguments import checked_arguments

_JPEG = b'\xff\xd8'


# In the place of MMCV's, which MMPretrain has registered, and whose name its inferencers
# look for: a config cannot name another one.
@TRANSFORMS.register_module(force=True)
@checked_arguments
class LoadImageFromFile(transforms.LoadImageFromFile):
    """Load an image from file, as MMCV's transform of this name does.

    What it does beside that:

    - An image that cannot be read is named: Pillow and PyTorch's workers do not tell its
      path.
    - With ``imdecode_backend='pillow'``, grey images of 16 bits (PNG, PGM, TIFF) are
      scaled to 8 bits: the high byte, as OpenCV and Pillow take it of colour images.
      Pillow would cut off what is above 255, so that the image is white.

    A config that says ``LoadImageFromFile`` gets this one. It takes what MMCV's takes.

    Raises:
        PIL.UnidentifiedImageError: If the image cannot be read, unless ``ignore_empty``;
            whatever the reason, but for a file backend that is not installed. The
            message is one line.
    """

    def transform(self, results: dict) -> dict | None:
        """Load ``results['img_path']``; None with ``ignore_empty`` if it is unreadable.

        Args:
            results (dict): With ``img_path``.

        Returns:
            dict | None: With ``img``, uint8 (H, W, 3), BGR, or (H, W), and the shapes.
        """
        path = results['img_path']
        try:
            return self.load(results)
        except ImportError:  # of the file backend: no image is to blame
            raise
        except Exception as error:
            if self.ignore_empty:
                return None
            raise unreadable(path, error) from None

    def load(self, results: dict) -> dict:
        """Load ``results['img_path']``, whatever it raises."""
        content = self._content(results['img_path'])
        image = decode(content, self.color_type, self.imdecode_backend)
        if image is None:
            raise ValueError('OpenCV cannot decode it')
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _content(self, path: str) -> bytes:
        if self.file_client_args is not None:
            client = fileio.FileClient.infer_client(self.file_client_args, path)
            return client.get(path)
        return fileio.get(path, backend_args=self.backend_args)


def unreadable(path: str, error: Exception) -> UnidentifiedImageError:
    """Give the error that names an image that cannot be read.

    Args:
        path (str): Of its file.
        error (Exception): Why it cannot.

    Returns:
        PIL.UnidentifiedImageError: Its message is one line.
    """
    # In one line: a worker process sends it with its traceback before it.
    reason = ' '.join(f'{type(error).__name__}: {error}'.split())
    return UnidentifiedImageError(
        f'the image {path} cannot be read: {reason}; mend it, or take it out of the data '
        'set'
    )


def decode(
    content: bytes, color_type: str = 'color', backend: str = 'pillow'
) -> np.ndarray | None:
    """Decode an image as ``mmcv.imfrombytes`` does, but scale Pillow's of 16 bits.

    Args:
        content (bytes): Of the file.
        color_type (str): As in ``LoadImageFromFile``. Defaults to ``'color'``.
        backend (str): As its ``imdecode_backend``. Defaults to ``'pillow'``.

    Returns:
        np.ndarray | None: uint8 (H, W, 3), BGR, or (H, W); None if OpenCV cannot decode
        it. With ``'unchanged'``, whatever the file has.
    """
    if backend == 'pillow' and color_type != 'unchanged' and content[:2] != _JPEG:
        with Image.open(BytesIO(content)) as image:
            if _has_16_bits(image):
                if not color_type.endswith('ignore_orientation'):
                    image = ImageOps.exif_transpose(image)
                grey = (np.asarray(image) >> 8).astype(np.uint8)
                return grey if color_type.startswith('grayscale') else mmcv.gray2bgr(grey)
    return mmcv.imfrombytes(content, flag=color_type, backend=backend)


def ends_as_jpeg(content: bytes) -> bool:
    """Tell whether a file ends with a JPEG's end marker, which truncated ones lack.

    Args:
        content (bytes): Of the file; zeros after the marker do not count.

    Returns:
        bool: Whether it does.
    """
    return content.rstrip(b'\0').endswith(b'\xff\xd9')


def _has_16_bits(image: Image.Image) -> bool:
    # Pillow holds those of PGM, and its older versions those of PNG, in 32 bits.
    in_32_bits = image.mode == 'I' and image.format in ('PNG', 'PPM')
    return image.mode.startswith('I;16') or in_32_bits
