"""Scikit-learn's handwritten digits."""

from collections.abc import Sequence

import numpy as np
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS

from ..checked_arguments import checked_arguments

TEST_IMAGES = 360


@DATASETS.register_module()
@checked_arguments
class Digits(BaseDataset):
    """1,797 grey images of handwritten digits, 8x8 pixels of 0 to 16.

    They come with scikit-learn: nothing is downloaded. The last 360 images are the test
    split, the 1,437 before them the training split.

    Source: Alpaydin & Kaynak, *Optical Recognition of Handwritten Digits*, UCI
    Machine Learning Repository, 1998 (its test set).

    Args:
        split (str): ``'train'`` or ``'test'``.
        metainfo (dict, optional): Meta information. Defaults to None.
        pipeline (Sequence): Transforms; the image is already loaded. Defaults to ().
        test_mode (bool): Whether a failing item is an error. Defaults to False.
        indices (int | Sequence[int], optional): The first so many images, or these.
            Defaults to None: all.

    Raises:
        ValueError: If ``split`` is neither of the two.
        ImportError: If scikit-learn is not installed.
    """

    METAINFO = {'classes': tuple(str(digit) for digit in range(10))}

    def __init__(
        self,
        split: str,
        metainfo: dict | None = None,
        pipeline: Sequence = (),
        test_mode: bool = False,
        indices: int | Sequence[int] | None = None,
    ) -> None:
        if split not in ('train', 'test'):
            raise ValueError(f"Digits: split={split!r}; it must be 'train' or 'test'")
        self.split = split
        super().__init__(
            ann_file='',
            metainfo=metainfo,
            pipeline=pipeline,
            test_mode=test_mode,
            indices=indices,
        )

    def load_data_list(self) -> list[dict]:
        """Load images and labels of the split."""
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise ImportError(
                "The Digits data set comes with scikit-learn: pip install 'dhm_plugin"
                "[demo]'"
            ) from error
        digits = load_digits()
        part = slice(-TEST_IMAGES) if self.split == 'train' else slice(-TEST_IMAGES, None)
        images = digits.images.astype(np.uint8)[part]
        return [
            dict(img=image, gt_label=int(label), img_shape=image.shape)
            for image, label in zip(images, digits.target[part])
        ]

    def extra_repr(self) -> list[str]:
        """Tell the split where the data set is printed."""
        return [f'Split: \t{self.split}']
