"""Trainings of plain configs with side branches."""

import pytest
import torch
from mmengine.runner import Runner
from mmpretrain.structures import DataSample

from .families import config_of

CLASSES = 4
# Networks of few channels, or few layers.
SMALL = {
    'ShuffleNetV2': dict(backbone=dict(widen_factor=0.5)),
    'RegNet': {},
    'DenseNet': dict(
        backbone=dict(arch=dict(growth_rate=4, depths=[2, 2, 4, 4], init_channels=8)),
        head=dict(in_channels=28),
    ),
    'DeiT': dict(
        backbone=dict(
            arch=dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32),
            img_size=64,
        ),
        head=dict(in_channels=16),
    ),
    'ConvNeXt': dict(
        backbone=dict(arch=dict(depths=[1, 2, 2, 2], channels=[8, 16, 24, 32])),
        head=dict(in_channels=32),
    ),
}


class Images:
    """Images of noise, each with a patch of its class's colour."""

    metainfo = dict(classes=tuple('abcd'))

    def __len__(self):
        return 24

    def __getitem__(self, index):
        noise = torch.Generator().manual_seed(index)
        image = torch.randint(0, 100, (3, 64, 64), generator=noise, dtype=torch.uint8)
        label = index % CLASSES
        image[label % 3, 16:48, 16:48] += 50 * (label + 1) // 2
        return dict(inputs=image, data_samples=DataSample().set_gt_label(label))


@pytest.fixture
def small(tmp_path):
    """Config of a small network of a family, with other options of its model."""

    def small_config(family, **options):
        cfg = config_of(family, tmp_path)
        cfg.model.train_cfg = None
        cfg.model.head.num_classes = CLASSES
        cfg.model.head.loss = dict(type='CrossEntropyLoss')
        for part, smaller in SMALL[family].items():
            cfg.model[part].update(smaller)
        cfg.merge_from_dict({f'model.{key}': value for key, value in options.items()})
        return cfg

    return small_config


@pytest.fixture
def train(tmp_path):
    """Train a config's model for some epochs of three batches."""

    def run_training(
        cfg, name='run', epochs=1, batch_size=8, prepare=None, optim=None, **options
    ):
        loader = dict(dataset=Images(), batch_size=batch_size, num_workers=0)
        sampler = dict(type='DefaultSampler', shuffle=True)
        sgd = dict(type='SGD', lr=0.01, momentum=0.9)
        every = dict(type='LoggerHook', interval=1)
        runner = Runner(
            model=cfg.model.to_dict(),
            data_preprocessor=dict(
                cfg.data_preprocessor, type='ClsDataPreprocessor', num_classes=CLASSES
            ),
            work_dir=str(tmp_path / name),
            experiment_name=f'{tmp_path.name}_{name}_{epochs}',  # its log is its own
            train_dataloader=dict(loader, sampler=sampler),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            val_dataloader=dict(loader, sampler=dict(sampler, shuffle=False)),
            val_cfg=dict(),
            val_evaluator=dict(type='Accuracy'),
            optim_wrapper={'optimizer': sgd, **(optim or {})},
            default_hooks=dict(logger=every),
            randomness=dict(seed=0),
            log_level='WARNING',
            default_scope='mmpretrain',
            **options,
        )
        if prepare is not None:
            prepare(runner.model)
        runner.train()
        return runner

    return run_training
