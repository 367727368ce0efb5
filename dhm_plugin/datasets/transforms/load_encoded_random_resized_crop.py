"""Loading for DALI in training: the file as it is, and where it is to be cropped."""

from mmpretrain.registry import TRANSFORMS

from ...checked_arguments import checked_arguments
from .encoded import Crop, encoded_crop
from .load_random_resized_crop import LoadRandomResizedCrop


@TRANSFORMS.register_module()
@checked_arguments
class LoadEncodedRandomResizedCrop(LoadRandomResizedCrop):
    """Load an image file, and draw a crop and a flip, for :class:`DaliPreprocessor`.

    The random numbers are those of :class:`LoadRandomResizedCrop`, bit for bit. Files
    whose header cannot be read, or which end too early, are skipped, named and counted.

    Args:
        scale (int | tuple[int, int]): Height and width of the result, in pixels.
        crop_ratio_range (tuple[float, float]): As in :class:`LoadRandomResizedCrop`.
            Defaults to (0.08, 1.0).
        aspect_ratio_range (tuple[float, float]): As there. Defaults to (3 / 4, 4 / 3).
        flip_prob (float): Probability of a horizontal flip. Defaults to 0.5.
        backend_args (dict, optional): The file backend, as in ``LoadImageFromFile``.
            Defaults to None.
    """

    def __init__(
        self,
        scale: int | tuple[int, int],
        crop_ratio_range: tuple[float, float] = (0.08, 1.0),
        aspect_ratio_range: tuple[float, float] = (3 / 4, 4 / 3),
        flip_prob: float = 0.5,
        backend_args: dict | None = None,
    ) -> None:
        super().__init__(
            scale, crop_ratio_range, aspect_ratio_range, backend_args, flip_prob
        )

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
