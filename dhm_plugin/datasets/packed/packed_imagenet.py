"""ImageNet, or any images of its layout, packed by ``prepare_imagenet.py --pack``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS

from ...checked_arguments import checked_arguments
from .index import fingerprint, read_split
from .packed_backend import packed_uri


@DATASETS.register_module()
@checked_arguments
class PackedImageNet(BaseDataset):
    """Packed images, in the order and with the labels of what was packed.

    Any transform that loads ``img_path`` through ``mmengine.fileio``, without a backend
    of its own, reads them. Settings and fingerprint are logged, and lie in the meta
    information under ``packed``, which MMEngine saves in each checkpoint.

    Args:
        data_root (str): The folder of the shards. Defaults to
            ``'data/imagenet/packed'``.
        split (str): ``'train'`` or ``'val'``. Defaults to ``'train'``.
        metainfo (dict, optional): Meta information. Defaults to None: the classes are
            those of what was packed.
        pipeline (Sequence): Transforms. Defaults to ().
        test_mode (bool): Whether a failing item is an error. Defaults to False.
        indices (int | Sequence[int], optional): The first so many images, or these.
            Defaults to None: all.
        max_refetch (int): How many other images are tried for an unreadable one.
            Defaults to 1000.

    Raises:
        PackError: If the packing was not finished, or a file is missing, truncated,
            damaged, or of another packing.
    """

    def __init__(
        self,
        data_root: str = 'data/imagenet/packed',
        split: str = 'train',
        metainfo: dict | None = None,
        pipeline: Sequence = (),
        test_mode: bool = False,
        indices: int | Sequence[int] | None = None,
        max_refetch: int = 1000,
    ) -> None:
        folder = Path(data_root).expanduser()
        settings, self._shards = read_split(folder, split)
        packed = {key: settings[key] for key in ('edge', 'quality', 'seed')}
        packed['fingerprint'] = fingerprint(settings, self._shards)
        print_log(
            f'PackedImageNet: {settings["images"]} images in {len(self._shards)} shards '
            f'of {folder}/{split}: '
            + ', '.join(f'{key} {value}' for key, value in packed.items()),
            logger='current',
        )
        super().__init__(
            ann_file='',
            metainfo={
                'classes': tuple(settings['classes']),
                'packed': packed,
                **(metainfo or {}),
            },
            data_root=data_root,
            pipeline=pipeline,
            test_mode=test_mode,
            indices=indices,
            max_refetch=max_refetch,
        )

    def load_data_list(self) -> list[dict]:
        """Tell place and label of each image."""
        shards, self._shards = self._shards, None  # not needed any more, and large
        numbers = np.concatenate([shard.images['number'] for shard in shards])
        infos = [
            dict(
                img_path=packed_uri(shard.path, offset, size, crc, name.decode()),
                gt_label=label,
            )
            for shard in shards
            for _, offset, size, crc, label, _, name in shard.images.tolist()
        ]
        return [infos[place] for place in np.argsort(numbers)]
