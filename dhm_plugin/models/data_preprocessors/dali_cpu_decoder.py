"""Decoding of batches by DALI on a CPU; PyTorch and Pillow resize."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from mmpretrain.structures import DataSample
from PIL import Image

from ...datasets.transforms.bilinear import bilinear
from .dali_decoder import DaliDecoder, windows_of


class DaliCpuDecoder(DaliDecoder):
    """Decode with DALI, and resize and flip without: on a CPU, that takes DALI longer.

    Args:
        num_threads (int, optional): As in :class:`DaliDecoder`; as many resize. Defaults
            to None.

    Raises:
        ImportError: If DALI is not installed.
    """

    def __init__(self, num_threads: int | None = None) -> None:
        super().__init__('cpu', num_threads)
        self._resizing = ThreadPoolExecutor(self._num_threads, 'resizing')

    def _outputs(self, decoded: Any) -> Any:
        return decoded

    def _inputs(self, samples: Sequence[DataSample]) -> dict[str, np.ndarray]:
        return {}

    def _images(self, outputs: Any, samples: Sequence[DataSample]) -> torch.Tensor:
        resized = self._resizing.map(_resized, outputs, windows_of(samples), samples)
        return torch.stack([*resized])


def _resized(decoded: Any, window: np.ndarray, sample: DataSample) -> torch.Tensor:
    """Resize a window of a decoded image, and flip it, to uint8 (3, H, W)."""
    image, size = np.asarray(decoded), sample.img_shape
    if (window == (0, 0, *image.shape[:2])).all():
        resized = bilinear(image, size)
    else:
        # Pillow alone takes one that ends between pixels. It has the same filter.
        top, left, bottom, right = window
        image = Image.fromarray(image).resize(
            size[::-1], Image.Resampling.BILINEAR, (left, top, right, bottom)
        )
        resized = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    return resized.flip(-1) if sample.flip else resized
