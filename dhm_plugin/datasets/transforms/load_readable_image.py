"""Loading that skips and counts what cannot be read."""

import logging
from typing import Optional

import torch
from mmcv.transforms import LoadImageFromFile
from mmengine.logging import print_log
from mmpretrain.registry import TRANSFORMS
from torch.utils.data import get_worker_info

# One slot a worker, so that none has to wait for another; the main process has its own.
_SLOTS = 512


@TRANSFORMS.register_module()
class LoadReadableImage(LoadImageFromFile):
    """Load an image from file; skip an unreadable one and count it.

    In training, MMEngine's data set draws another image in its place. Each skipped file
    is named in the log, and :class:`UnreadableImagesHook` logs their number.

    Args:
        imdecode_backend (str): What decodes the image, as in ``LoadImageFromFile``.
            Unlike ``'cv2'``, ``'pillow'`` refuses a truncated file. Defaults to
            ``'pillow'``.
        color_type (str): As in ``LoadImageFromFile``. Defaults to ``'color'``: BGR.
        backend_args (dict, optional): The file backend, as in ``LoadImageFromFile``.
            Defaults to None.
    """

    def __init__(
        self,
        imdecode_backend: str = 'pillow',
        color_type: str = 'color',
        backend_args: Optional[dict] = None,
    ) -> None:
        super().__init__(
            imdecode_backend=imdecode_backend,
            color_type=color_type,
            backend_args=backend_args,
        )
        self._skipped = torch.zeros(_SLOTS, dtype=torch.int64).share_memory_()

    @property
    def num_skipped(self) -> int:
        """How many images all workers of this process have skipped so far."""
        return int(self._skipped.sum())

    def transform(self, results: dict) -> Optional[dict]:
        """Load ``results['img_path']``; None if that fails."""
        try:
            return super().transform(results)
        except Exception as error:
            worker = get_worker_info()
            self._skipped[0 if worker is None else 1 + worker.id % (_SLOTS - 1)] += 1
            print_log(
                f'Skipped the unreadable image {results["img_path"]}: '
                f'{type(error).__name__}: {error}',
                logger='current',
                level=logging.WARNING,
            )
            return None
