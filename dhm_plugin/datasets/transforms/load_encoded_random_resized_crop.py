"""Loading for DALI in training: the file as it is, and where it is to be cropped."""

from mmpretrain.registry import TRANSFORMS

from ...checked_arguments import checked_arguments
from .encoded import Crop, encoded_crop
from .load_random_resized_crop import LoadRandomResizedCrop


@TRANSFORMS.register_module()
@checked_arguments
class LoadEncodedRandomResizedCrop(LoadRandomResizedCrop):
    """Load an image file, and draw a crop and a flip, for :class:`DaliPreprocessor`.

    The random numbers are those of :class:`LoadRandomResizedCrop`, bit for bit, as long
    as all images can be read. Files whose header cannot be read, or which end too early,
    are skipped, named and counted.

    Its arguments are those of :class:`LoadRandomResizedCrop`.
    """

    def load(self, results: dict) -> dict:
        """Add ``img``, bytes, its shapes and what is to become of it to the results."""
        content = self._content(results['img_path'])
        results.update(encoded_crop(content, self._draw_crop), **self._draw_flip())
        results['img_shape'] = self.crop.scale
        return results

    def _draw_crop(self, shape: tuple[int, int]) -> Crop:
        top, left, height, width = self._draw(shape)
        window = top, left, top + height, left + width
        return Crop(window, window)
