"""Small images, all of them in memory, a whole batch at once."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dataset import BaseDataset, Compose
from mmengine.device import get_device
from mmpretrain.datasets import PackInputs
from mmpretrain.registry import DATASETS
from mmpretrain.structures import DataSample
from torch.utils.data import get_worker_info

from ..checked_arguments import checked_arguments
from ..to_device import to_device

# Images and network share the GPU: the images get a quarter of what is free.
_SHARE = 4


@DATASETS.register_module()
@checked_arguments
class InMemoryDataset:
    """Hold the images of a data set in one tensor and give whole batches of it.

    For data sets that read their images at once, such as CIFAR, MNIST, Fashion-MNIST and
    :class:`Digits`. A batch is one indexing operation, without a transform, an object or
    a copy for each image; :class:`CropFlipPreprocessor` augments it. On a GPU, the images
    lie there, if they take at most a quarter of its free memory.

    The data loader must have ``num_workers=0``, ``persistent_workers=False`` and
    ``pin_memory=False``.

    Args:
        dataset (dict | BaseDataset): The data set, without a pipeline.

    Raises:
        OSError: If the data set's files can be neither read nor downloaded.
        ValueError: If the data set has a pipeline, or its images have different shapes
            or are not in memory.
    """

    def __init__(self, dataset: dict | BaseDataset) -> None:
        if isinstance(dataset, dict):
            dataset = _built(dataset)
        self.dataset = dataset
        self._pack = PackInputs()
        self.name = f'InMemoryDataset of {type(dataset).__name__}'
        if dataset.pipeline.transforms:
            raise ValueError(
                f'{self.name}: the data set has a pipeline; leave it out, and let the '
                "data preprocessor augment: dict(type='CropFlipPreprocessor')"
            )
        self._read()

    @property
    def metainfo(self) -> dict:
        """The data set's meta information, with its ``classes``."""
        return self.dataset.metainfo

    def _read(self) -> None:
        self.dataset.full_init()
        infos = [self.dataset.get_data_info(i) for i in range(len(self.dataset))]
        shapes = sorted({np.shape(info.get('img')) for info in infos})
        if len(shapes) != 1 or len(shapes[0]) not in (2, 3):
            raise ValueError(
                f'{self.name}: the images must be in memory, (H, W) or (H, W, C), all of '
                f'one shape; theirs are {shapes[:3]}'
            )
        images = np.stack([info['img'] for info in infos])
        images = torch.from_numpy(images).reshape(*images.shape[:3], -1)
        labels = torch.tensor([int(info['gt_label']) for info in infos])
        if get_device() == 'cuda':
            free, _ = torch.cuda.mem_get_info()
            if images.nbytes * _SHARE <= free:
                images, labels = images.cuda(), labels.cuda()
        self.images, self.labels = images, labels

    def get_data_info(self, idx: int) -> dict:
        """Give image, label and what else the data set knows of an image."""
        # WrongLabelsHook changes labels.
        return {**self.dataset.get_data_info(idx), 'gt_label': int(self.labels[idx])}

    def __len__(self) -> int:
        """Count the images."""
        return len(self.images)

    @property
    def pipeline(self) -> Compose:
        """The data set's transforms: none, but for what a tool that shows images sets."""
        return self.dataset.pipeline

    @pipeline.setter
    def pipeline(self, pipeline: Compose) -> None:
        self.dataset.pipeline = pipeline

    def __getitem__(self, idx: int) -> dict:
        """Give one image as MMPretrain's data sets do.

        Args:
            idx (int): Of the image.

        Returns:
            dict: ``inputs``, uint8 (C, H, W), and ``data_samples``, with one label.
        """
        return self._pack(self.pipeline(self.get_data_info(idx)))

    def __getitems__(self, indices: Sequence[int]) -> list[dict]:
        """Give a whole batch, as data loaders ask for it.

        Args:
            indices (Sequence[int]): Of the images.

        Returns:
            list[dict]: One entry for all images: ``inputs``, uint8 (N, H, W, C), and
            ``data_samples``, whose ``gt_label`` has all N labels. With transforms, such
            as those that MMPretrain's ``SwitchRecipeHook`` sets, an entry an image.

        Raises:
            RuntimeError: In a worker process, if the images lie on a GPU.
        """
        if self.images.is_cuda and get_worker_info() is not None:
            raise RuntimeError(
                f'{self.name}: the images lie on the GPU, which no worker process can '
                'reach; set num_workers=0 and persistent_workers=False'
            )
        if self.pipeline.transforms:
            return [self[i] for i in indices]
        index = to_device(torch.tensor(indices), self.images.device)
        labels = DataSample().set_gt_label(self.labels[index])
        return [dict(inputs=self.images[index], data_samples=labels)]


def _built(cfg: dict) -> BaseDataset:
    try:
        return DATASETS.build(cfg)
    except OSError as error:  # urllib's are some too
        raise OSError(
            f'InMemoryDataset: cannot read the files of {cfg["type"]} in '
            f'data_root={cfg.get("data_root")!r}, nor download them there: {error}'
        ) from error
