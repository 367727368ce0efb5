"""Loading that skips and counts what cannot be read."""

import copy
import logging

import torch
from mmcv.image.io import supported_backends
from mmengine.logging import print_log
from mmpretrain.registry import TRANSFORMS
from PIL import UnidentifiedImageError
from torch.utils.data import get_worker_info

from ...checked_arguments import checked_arguments
from .load_image_from_file import LoadImageFromFile

# One slot a worker, so that none has to wait for another; the main process has its own.
_SLOTS = 512


@TRANSFORMS.register_module()
@checked_arguments
class LoadReadableImage(LoadImageFromFile):
    """Load an image from file; skip an unreadable one and count it.

    In training, MMEngine's data set draws another image in its place. Each skipped file
    is named in the log, and :class:`UnreadableImagesHook` logs their number.

    Args:
        imdecode_backend (str): What decodes the image, one of MMCV's backends. Unlike
            ``'cv2'``, ``'pillow'`` refuses a truncated file. Defaults to ``'pillow'``.
        color_type (str): As in ``LoadImageFromFile``. Defaults to ``'color'``: BGR.
        backend_args (dict, optional): The file backend, as in ``LoadImageFromFile``.
            Defaults to None.

    Raises:
        ValueError: If MMCV has no such backend.
    """

    def __init__(
        self,
        imdecode_backend: str = 'pillow',
        color_type: str = 'color',
        backend_args: dict | None = None,
    ) -> None:
        if imdecode_backend not in supported_backends:
            raise ValueError(
                f'LoadReadableImage: imdecode_backend={imdecode_backend!r}; it must be '
                f'one of {supported_backends}'
            )
        super().__init__(
            imdecode_backend=imdecode_backend,
            color_type=color_type,
            backend_args=backend_args,
        )
        self._skipped = _shared_zeros()

    def __deepcopy__(self, memo: dict) -> 'LoadReadableImage':
        # A copy of a shared tensor is not shared: the workers would count in vain.
        twin = copy.copy(self)
        twin._skipped = _shared_zeros()
        return twin

    @property
    def num_skipped(self) -> int:
        """How many images all workers of this process have skipped so far."""
        return int(self._skipped.sum())

    def transform(self, results: dict) -> dict | None:
        """Load ``results['img_path']``; None if it cannot be read."""
        try:
            return super().transform(results)
        except UnidentifiedImageError as error:
            worker = get_worker_info()
            self._skipped[0 if worker is None else 1 + worker.id % (_SLOTS - 1)] += 1
            # MMEngine drops warnings of all processes but the first one.
            print_log(f'Skipped: {error}', logger='current', level=logging.ERROR)
            return None


def _shared_zeros() -> torch.Tensor:
    return torch.zeros(_SLOTS, dtype=torch.int64).share_memory_()
