"""The data pipelines alone, against torchvision's and MMPretrain's own."""

import copy
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from dhm_plugin.checkpoints.export.config import load_config, type_name
from dhm_plugin.checkpoints.export.image_shape import image_shape, preprocessor_of

from .synthetic import write_jpegs
from .timing import in_turns

JPEGS = 1000
SMALL_IMAGES = 10000
STOCK_PREPROCESSOR = 'ClsDataPreprocessor'


def measure(path: str | Path, repeats: int = 7) -> list[dict]:
    """Time epochs of the config's training data, preprocessed, and of references.

    Every one may use all cores of this machine.

    Args:
        path (str | Path): A config of ImageNet, or of small images.
        repeats (int): Epochs of each. Defaults to 7.

    Returns:
        list[dict]: Rows of a table; the first is the reference.
    """
    cfg = load_config(path)
    with tempfile.TemporaryDirectory() as folder:
        if type_name(cfg.train_dataloader.dataset.type) == 'InMemoryDataset':
            number, epochs = SMALL_IMAGES, _small_images(cfg)
        else:
            write_jpegs(Path(folder), JPEGS)
            number, epochs = JPEGS, _files(cfg, Path(folder))
        times = in_turns(epochs, repeats, what='epoch of images')
        del epochs  # and with them the workers that read the folder
    reference = next(iter(times))
    return [
        {
            'images of': name,
            'epoch': times[name],
            'images/s': number / times[name].median,
            f'{reference} / this': times[reference].over(times[name]),
        }
        for name in times
    ]


def _files(cfg: Config, folder: Path) -> dict[str, Callable]:
    """Give epochs of JPEGs: torchvision's, MMPretrain's with OpenCV, and ours."""
    size = image_shape(cfg)[1:]
    mean, std = (
        [number / 255 for number in preprocessor_of(cfg)[key]] for key in ('mean', 'std')
    )
    dataset = datasets.ImageFolder(
        folder / 'train',
        transforms.Compose(
            [
                transforms.RandomResizedCrop(size),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(mean, std),
            ]
        ),
    )
    loader = DataLoader(
        dataset,
        cfg.train_dataloader.batch_size,
        shuffle=True,
        num_workers=_cores(),
        persistent_workers=True,
    )
    cfg.train_dataloader.dataset.data_root = str(folder)
    stock = copy.deepcopy(cfg)
    stock.train_dataloader.dataset.pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='RandomResizedCrop', scale=size),
        dict(type='RandomFlip', prob=0.5, direction='horizontal'),
        dict(type='PackInputs'),
    ]
    stock.data_preprocessor = _stock(preprocessor_of(cfg))
    return {
        'torchvision': lambda: [images.sum() for images, _ in loader],
        'MMPretrain, OpenCV': _epoch(stock, workers=True),
        'ours': _epoch(cfg, workers=True),
    }


def _small_images(cfg: Config) -> dict[str, Callable]:
    """Give epochs of images in memory: of MMPretrain's pipeline, and of ours."""
    preprocessor = preprocessor_of(cfg)
    shape = image_shape(cfg)
    images = dict(type='SyntheticImages', number=SMALL_IMAGES, shape=shape)
    images['num_classes'] = cfg.model.head.num_classes
    cfg.train_dataloader.dataset.dataset = images
    stock = copy.deepcopy(cfg)
    flip = preprocessor.get('flip_prob', 0.0)
    crop = dict(crop_size=preprocessor.crop_size, padding=preprocessor.padding)
    stock.train_dataloader.dataset = dict(
        **images,
        pipeline=[
            dict(type='RandomCrop', **crop),
            dict(type='RandomFlip', prob=flip, direction='horizontal'),
            dict(type='PackInputs'),
        ],
    )
    stock.data_preprocessor = _stock(preprocessor)
    return {
        'MMPretrain, stock': _epoch(stock, workers=True),
        'ours': _epoch(cfg, workers=False),
    }


def _stock(preprocessor: dict) -> dict:
    """Give the config of MMPretrain's own data preprocessor."""
    kept = ('mean', 'std', 'to_rgb', 'num_classes')
    settings = {key: preprocessor[key] for key in kept if key in preprocessor}
    return dict(type=STOCK_PREPROCESSOR, **settings)


def _epoch(cfg: Config, workers: bool) -> Callable[[], None]:
    """Give an epoch of a config's training data, up to what enters the network."""
    config = {'collate_fn': dict(type='default_collate'), **cfg.train_dataloader}
    if workers:
        config.update(num_workers=_cores(), persistent_workers=True)
    config['pin_memory'] = False
    loader = Runner.build_dataloader(config, seed=0)
    preprocessor = MODELS.build({'type': STOCK_PREPROCESSOR, **preprocessor_of(cfg)})
    if torch.cuda.is_available():
        preprocessor = preprocessor.cuda()

    def run() -> None:
        for batch in loader:
            preprocessor(batch, training=True)
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    return run


def _cores() -> int:
    return len(os.sched_getaffinity(0))
