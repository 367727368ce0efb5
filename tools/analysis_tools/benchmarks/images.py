"""Other ways to the images of a config of ImageNet."""

import copy
from pathlib import Path

import torch
from mmengine.config import Config
from mmpretrain.datasets import ImageNet
from torch.utils.data import ConcatDataset, DataLoader
from torchvision import datasets, transforms

from dhm_plugin.checkpoints.export.image_shape import image_shape, preprocessor_of
from dhm_plugin.models.data_preprocessors.dali_decoder import import_dali
from dhm_plugin.root import find_root
from machine import cores
from packing import RAW, pack

# Of packed images.
QUALITY = 90
DALI = 'configs/_base_/datasets/imagenet_bs32_dali.py'


def dali_is_there() -> bool:
    """Whether DALI is installed."""
    try:
        import_dali()
    except ImportError:
        return False
    return True


def with_dali(cfg: Config) -> Config:
    """Put DALI, on the GPU if there is one, in the place of a config's own pipeline.

    Args:
        cfg (Config): Of ImageNet's layout.

    Returns:
        Config: Another one.
    """
    cfg = copy.deepcopy(cfg)
    base = Config.fromfile(find_root() / DALI)
    device = 'gpu' if torch.cuda.is_available() else 'cpu'
    cfg.model.pop('data_preprocessor', None)
    cfg.data_preprocessor = {**base.data_preprocessor, 'device': device}
    cfg.train_dataloader.dataset.pipeline = base.train_dataloader.dataset.pipeline
    return cfg


def with_packed(cfg: Config, edge: int, raw: bool = False) -> Config:
    """Pack a config's images beside them, if they are not, and let it read them so.

    Args:
        cfg (Config): Of ImageNet's layout.
        edge (int): The short edge that larger ones are shrunk to, in pixels.
        raw (bool): Whether their pixels are packed. Defaults to False: JPEGs.

    Returns:
        Config: Another one.
    """
    cfg = copy.deepcopy(cfg)
    root = cfg.train_dataloader.dataset.data_root
    quality = RAW if raw else QUALITY
    folder = Path(root) / f'packed_{edge}_{quality}'
    pack(ImageNet(root, 'train'), 'train', folder, edge, quality, cores())
    cfg.train_dataloader.dataset.update(type='PackedImageNet', data_root=str(folder))
    return cfg


def torchvision_loader(cfg: Config, num_workers: int, times: int = 1) -> DataLoader:
    """Give torchvision's own for a config's images: cropped, flipped and normalized.

    Args:
        cfg (Config): Of ImageNet's layout.
        num_workers (int): Processes that load.
        times (int): How often an epoch repeats the images. Defaults to 1.

    Returns:
        DataLoader: Of images and labels.
    """
    preprocessor = preprocessor_of(cfg)
    mean, std = (
        [number / 255 for number in preprocessor[key]] for key in ('mean', 'std')
    )
    dataset = datasets.ImageFolder(
        Path(cfg.train_dataloader.dataset.data_root) / 'train',
        transforms.Compose(
            [
                transforms.RandomResizedCrop(image_shape(cfg)[1:]),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(mean, std),
            ]
        ),
    )
    return DataLoader(
        ConcatDataset([dataset] * times),
        cfg.train_dataloader.batch_size,
        shuffle=True,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
    )
