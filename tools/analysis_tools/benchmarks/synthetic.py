"""Images to measure with, where there is no data set."""

from pathlib import Path

import numpy as np
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS
from PIL import Image


@DATASETS.register_module()
class SyntheticImages(BaseDataset):
    """Noise in memory.

    Args:
        number (int): Images.
        shape (tuple[int, int, int]): Channels, height and width.
        num_classes (int): Classes.
        pipeline (tuple): Transforms. Defaults to ().
    """

    def __init__(
        self,
        number: int,
        shape: tuple[int, int, int],
        num_classes: int,
        pipeline: tuple = (),
    ) -> None:
        self.number, self.shape, self.num_classes = number, shape, num_classes
        super().__init__(ann_file='', pipeline=pipeline)

    def load_data_list(self) -> list[dict]:
        """Draw the images; the labels take turns."""
        channels, *size = self.shape
        size = (*size, channels) if channels > 1 else tuple(size)
        images = np.random.default_rng(0).integers(
            0, 256, (self.number, *size), dtype=np.uint8
        )
        return [
            dict(img=image, gt_label=i % self.num_classes)
            for i, image in enumerate(images)
        ]


def write_jpegs(root: Path, number: int) -> None:
    """Write photographs of ImageNet's usual size, 500x375 pixels and about 80 kB.

    They are cut from the two that come with scikit-learn, and lie as ImageNet does, in
    ten classes: ``train/CLASS/NAME.jpg`` and ``meta/train.txt``.

    Args:
        root (Path): Folder to write to.
        number (int): Images.

    Raises:
        ImportError: If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_sample_images
    except ImportError as error:
        raise ImportError(
            'The benchmark cuts its images from those of scikit-learn: pip install '
            "'dhm_plugin[demo]'"
        ) from error
    photos = load_sample_images().images
    rng = np.random.default_rng(0)
    lines = []
    for i in range(number):
        top, left = rng.integers(0, 427 - 375), rng.integers(0, 640 - 500)
        crop = photos[i % 2][top : top + 375, left : left + 500]
        name = f'{i % 10}/{i}.jpg'
        (root / 'train' / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(crop).save(root / 'train' / name, quality=95)
        lines.append(f'{name} {i % 10}\n')
    (root / 'meta').mkdir(exist_ok=True)
    (root / 'meta' / 'train.txt').write_text(''.join(lines))
