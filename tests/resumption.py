"""Trainings of some iterations, killed and resumed."""

from itertools import count

import numpy as np
from mmengine import Config
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS
from PIL import Image

import dhm_plugin  # noqa: F401
from checkpoint_entries import differing_folders

_numbers = count()


@DATASETS.register_module()
class NoiseImages(BaseDataset):
    """Images in memory, or, with a ``folder``, in files."""

    METAINFO = dict(classes=tuple('0123456789'))

    def __init__(self, folder=None, images=14, suffix='png', **kwargs):
        self.folder, self.images, self.suffix = folder, images, suffix
        super().__init__(serialize_data=False, **kwargs)

    def load_data_list(self):
        rng = np.random.default_rng(0)
        infos = []
        for i in range(self.images):
            image = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            infos.append(dict(img=image, gt_label=i % 10, img_shape=(12, 12)))
            if self.folder is not None:
                path = f'{self.folder}/{i}.{self.suffix}'
                Image.fromarray(image).save(path)
                infos[-1] = dict(img_path=path, gt_label=i % 10)
        return infos


STOCK = [
    dict(type='RandomCrop', crop_size=8, padding=1),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4),
    dict(type='PackInputs'),
]
CROP = [
    dict(type='LoadRandomResizedCrop', scale=8, flip_prob=0.5),
    dict(type='PackInputs'),
]
ENCODED = [
    dict(type='LoadEncodedRandomResizedCrop', scale=8, flip_prob=0.5),
    dict(type='PackEncodedInputs'),
]
DROPOUT = dict(type='StackedLinearClsHead', mid_channels=[8], dropout_rate=0.5)
MIXED = [dict(type='Mixup', alpha=1.0), dict(type='CutMix', alpha=1.0)]
EMA = dict(type='EMAHook', momentum=0.1)
DHM = dict(type='DHMClassifier', mimicking_loss=dict(type='MimickingLoss'))
FORKED = dict(DHM, side_branches=[dict(fork=f'layer{i}', fork_prob=0.5) for i in (2, 3)])
BY_ITER = dict(by_epoch=False, max_iters=8, val_interval=3)
ENDLESS = dict(type='InfiniteSampler', shuffle=True)


def config(
    pipeline=None,
    head=None,
    mixed=None,
    hooks=(),
    workers=0,
    persistent=True,
    sampler=None,
    folder=None,
    model=None,
    **options,
):
    """A config of eight iterations, four an epoch, on a tiny network."""
    images = dict(type='NoiseImages', folder=folder and str(folder))
    images['pipeline'] = pipeline or []
    if pipeline is None:
        images = dict(type='InMemoryDataset', dataset=images)
    loader = dict(
        batch_size=4,
        dataset=images,
        num_workers=workers,
        persistent_workers=persistent and workers > 0,
        sampler=sampler or dict(type='DefaultSampler', shuffle=True),
    )
    validation = dict(
        batch_size=4,
        dataset=dict(type='NoiseImages', images=6, pipeline=STOCK),
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
    )
    width = dict(base_channels=2, stem_channels=2)
    head = {'type': 'LinearClsHead', **(head or {}), 'num_classes': 10, 'in_channels': 16}
    cfg = dict(
        default_scope='mmpretrain',
        model=dict(
            backbone=dict(type='ResNet_CIFAR', depth=18, **width),
            neck=dict(type='GlobalAveragePooling'),
            head=head,
            **(model or DHM),
        ),
        data_preprocessor=dict(
            type='CropFlipPreprocessor',
            crop_size=8,
            flip_prob=0.5,
            num_classes=10,
            mean=[127.0] * 3,
            std=[127.0] * 3,
            to_onehot=mixed is not None,
            batch_augments=mixed and dict(augments=mixed),
        ),
        train_dataloader=loader,
        val_dataloader=validation,
        val_evaluator=dict(type='Accuracy', topk=(1,)),
        optim_wrapper=dict(
            optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-4)
        ),
        param_scheduler=dict(type='LinearLR', by_epoch=False, begin=0, end=8),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        val_cfg=dict(),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1),
            logger=dict(type='LoggerHook', interval=1),
        ),
        custom_hooks=list(hooks),
        randomness=dict(seed=0),
        log_level='ERROR',
    )
    cfg = Config(cfg)
    cfg.merge_from_dict(options)
    return cfg


class Killed(Exception):
    pass


class KillHook(Hook):
    """Kill a training after so many iterations, and whatever is saved then."""

    priority = 'LOWEST'

    def __init__(self, iterations):
        self.iterations = iterations

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iterations:
            raise Killed


def build(cfg, folder, resume=False):
    """Build a runner; with a name of its own, or it would have another's message hub."""
    name = f'{folder.name}{next(_numbers)}'
    return Runner.from_cfg(
        Config(dict(cfg, work_dir=str(folder), experiment_name=name, resume=resume))
    )


def train(cfg, folder, kill_after=None, resume=False):
    """Train, to the end or until killed."""
    runner = build(cfg, folder, resume)
    if kill_after is None:
        runner.train()
        return runner
    runner.register_hook(KillHook(kill_after))
    try:
        runner.train()
    except Killed:
        return runner
    raise AssertionError(f'it was not killed after {kill_after} iterations')


def assert_resumes(cfg, tmp_path, *kills):
    for number, kill in enumerate(kills):
        train(cfg, tmp_path / 'broken', kill, resume=number > 0)
    runner = train(cfg, tmp_path / 'broken', resume=True)
    # What was drawn, if the config gave none.
    cfg.randomness.seed = runner.seed
    train(cfg, tmp_path / 'unbroken')
    assert [*tmp_path.glob('unbroken/*.pth')]
    found = [*differing_folders(tmp_path / 'unbroken', tmp_path / 'broken')]
    assert not found, f'{len(found)} differ: {found[:5]}'
