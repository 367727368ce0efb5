"""Loading for DALI in validation: the file as it is, and where it is to be cropped."""

import math

from mmcv.transforms import CenterCrop
from mmpretrain.datasets.transforms import ResizeEdge
from mmpretrain.registry import TRANSFORMS

from ...checked_arguments import checked_arguments
from .encoded import Crop, encoded_crop
from .load_image_from_file import LoadImageFromFile


@TRANSFORMS.register_module()
@checked_arguments
class LoadEncodedCenterCrop(LoadImageFromFile):
    """Load an image file for :class:`DaliPreprocessor`, to be cropped in the middle.

    It becomes what ``LoadImageFromFile``, ``ResizeEdge`` and ``CenterCrop`` make of it,
    with Pillow. An image that is loaded already, as MMPretrain's inferencers have it, is
    resized and cropped by those two.

    Args:
        crop_size (int): Height and width of the result, in pixels.
        edge (int): The short edge of the image before the crop, in pixels; at least
            ``crop_size``.
        backend_args (dict, optional): The file backend, as in ``LoadImageFromFile``.
            Defaults to None.

    Raises:
        ValueError: If the edge is shorter than the crop.
    """

    def __init__(
        self, crop_size: int, edge: int, backend_args: dict | None = None
    ) -> None:
        super().__init__(imdecode_backend='pillow', backend_args=backend_args)
        if not 0 < crop_size <= edge:
            raise ValueError(
                f'LoadEncodedCenterCrop: crop_size={crop_size}, edge={edge}; the first '
                'must be positive, and not larger than the second'
            )
        self.crop_size, self.edge = crop_size, edge
        self._of_pixels = (
            ResizeEdge(edge, edge='short', backend='pillow'),
            CenterCrop(crop_size),
        )

    def transform(self, results: dict) -> dict:
        """Load ``results['img_path']``, or crop ``results['img']`` if it is there.

        Args:
            results (dict): With ``img_path``, or ``img``, uint8 (H, W, 3).

        Returns:
            dict: With ``img``: bytes, or uint8 (H, W, 3).
        """
        if 'img' not in results:
            return super().transform(results)
        for step in self._of_pixels:
            results = step(results)
        return results

    def load(self, results: dict) -> dict:
        """Add ``img``, bytes, its shapes and what is to become of it to the results."""
        content = self._content(results['img_path'])
        results.update(encoded_crop(content, self._crop), flip=False)
        results['img_shape'] = (self.crop_size, self.crop_size)
        return results

    def _crop(self, shape: tuple[int, int]) -> Crop:
        begin, end, decoded_begin, decoded_end = [], [], [], []
        for pixels in shape:
            # As ResizeEdge and CenterCrop round.
            resized = int(self.edge * pixels / min(shape))
            first = round((resized - self.crop_size) / 2)
            scale = pixels / resized
            begin.append(first * scale)
            end.append((first + self.crop_size) * scale)
            # A pixel of the result is a mean of those that are nearer than this.
            seen = max(scale, 1) + 1
            decoded_begin.append(max(0, math.floor(begin[-1] - seen)))
            decoded_end.append(min(pixels, math.ceil(end[-1] + seen)))
        return Crop((*begin, *end), (*decoded_begin, *decoded_end))

    def __repr__(self) -> str:
        """Show the settings where the pipeline is printed."""
        return f'{type(self).__name__}(crop_size={self.crop_size}, edge={self.edge})'
