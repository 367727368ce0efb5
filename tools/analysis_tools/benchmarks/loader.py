"""The data pipelines alone, against torchvision's and MMPretrain's own."""

import copy
import tempfile
from collections.abc import Callable
from functools import partial
from operator import itemgetter
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing
from mmpretrain.registry import MODELS

from dhm_plugin import DaliPreprocessor
from dhm_plugin.checkpoints.export.config import load_config, type_name
from dhm_plugin.checkpoints.export.image_shape import image_shape, preprocessor_of
from dhm_plugin.engine.hooks.decode_ahead_hook import DecodedAhead
from machine import cores
from progress import track

from . import memory
from .images import dali_is_there, torchvision_loader, with_dali, with_packed
from .synthetic import write_jpegs
from .timing import Times, in_turns

JPEGS = 1000
# Of which the memory is measured.
FEW_JPEGS = 200
SMALL_IMAGES = 10000
# Short edges of packed images, in pixels.
EDGES = (400, 256)
STOCK_PREPROCESSOR = 'ClsDataPreprocessor'


def measure(path: str | Path, repeats: int = 7) -> list[dict]:
    """Time epochs of the config's training data, preprocessed, and of references.

    Every one has a worker a core, and one thread beside them. The memory is that of all
    its processes, without what they import, at its peak in 20 epochs of fewer images; the
    growth is that of the least from the first to the last five of them.

    Args:
        path (str | Path): A config of ImageNet, or of small images.
        repeats (int): Epochs of each. Defaults to 7.

    Returns:
        list[dict]: Rows of a table; the first is the reference.
    """
    cfg = load_config(path)
    if type_name(cfg.train_dataloader.dataset.type) == 'InMemoryDataset':
        times = in_turns(_small_images(cfg), repeats, what='epoch of images')
        return _rows(times, SMALL_IMAGES)
    with tempfile.TemporaryDirectory() as folder:
        ways = _files(cfg, Path(folder) / 'few', FEW_JPEGS)
        taken = {
            name: memory.measure(way)
            for name, way in track(list(ways.items()), 'memory', itemgetter(0))
        }
        ways = _files(cfg, Path(folder), JPEGS)
        # More threads would wait for the workers' cores, busily.
        torch.set_num_threads(1)
        epochs = {name: way() for name, way in ways.items()}
        times = in_turns(epochs, repeats, what='epoch of images')
        del epochs  # and with them the workers that read the folder
    rows = _rows(times, JPEGS)
    for row, memory_taken in zip(rows, taken.values()):
        row['memory, MiB'] = memory_taken.peak
        row['growth, MiB'] = memory_taken.growth
    return rows


def _rows(times: dict[str, Times], number: int) -> list[dict]:
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


def _files(cfg: Config, folder: Path, number: int) -> dict[str, Callable]:
    """Write JPEGs, and give what makes epochs of them.

    Returns:
        dict: Of torchvision, MMPretrain with OpenCV and ours; then ours and DALI from
        packed images. All can be pickled.
    """
    write_jpegs(folder, number)
    files = copy.deepcopy(cfg)
    files.train_dataloader.dataset.data_root = str(folder)
    stock = copy.deepcopy(files)
    stock.train_dataloader.dataset.pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='RandomResizedCrop', scale=image_shape(cfg)[1:]),
        dict(type='RandomFlip', prob=0.5, direction='horizontal'),
        dict(type='PackInputs'),
    ]
    stock.data_preprocessor = _stock(preprocessor_of(cfg))
    configs = {'MMPretrain, OpenCV': stock, 'ours': files}
    if dali_is_there():
        device = 'GPU' if torch.cuda.is_available() else 'CPU'
        configs[f'DALI {device}'] = with_dali(files)
    packed = {
        f'{name}, {what} at {edge}': with_packed(
            configs[name], edge, raw=what == 'pixels'
        )
        for what in ('packed', 'pixels')
        for edge in EDGES
        for name in configs
        if configs[name] is not stock
    }
    return {
        'torchvision': partial(_torchvision, files),
        **{
            name: partial(_epoch, config, True)
            for name, config in (configs | packed).items()
        },
    }


def _torchvision(cfg: Config) -> Callable[[], None]:
    """Give an epoch of torchvision's ``ImageFolder``."""
    loader = torchvision_loader(cfg, cores())

    def run() -> None:
        for images, _ in loader:
            images.sum()

    return run


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
    set_multi_processing()  # as train.py does
    init_default_scope('mmpretrain')  # this and the next for a process of its own
    MMLogger.get_current_instance().setLevel('ERROR')
    config = {'collate_fn': dict(type='default_collate'), **cfg.train_dataloader}
    if workers:
        config.update(num_workers=cores(), persistent_workers=True)
    config['pin_memory'] = False
    loader = Runner.build_dataloader(config, seed=0)
    preprocessor = MODELS.build({'type': STOCK_PREPROCESSOR, **preprocessor_of(cfg)})
    if torch.cuda.is_available():
        preprocessor = preprocessor.cuda()
    if isinstance(preprocessor, DaliPreprocessor):
        loader = DecodedAhead(loader, preprocessor)

    def run() -> None:
        for batch in loader:
            preprocessor(batch, training=True)
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    return run
