import numpy as np
import pytest
from mmengine import Config, ConfigDict
from mmpretrain.registry import TRANSFORMS

from dhm_plugin.checkpoints.export.image_shape import image_shape, pipeline_of
from paths import ROOT


@pytest.mark.parametrize(
    ('config', 'shape'),
    [
        ('resnet18_8xb32_in1k', (3, 224, 224)),
        ('resnet32_1xb128_cifar10', (3, 32, 32)),
        ('resnet20_1xb64_digits', (1, 8, 8)),
    ],
)
def test_of_our_configs(config, shape):
    assert image_shape(Config.fromfile(ROOT / f'configs/plain/{config}.py')) == shape


def test_the_test_images_count():
    cfg = Config.fromfile(ROOT / 'configs/plain/resnet18_8xb32_in1k.py')
    cfg.train_dataloader.dataset.pipeline[1].scale = 176
    assert image_shape(cfg) == (3, 224, 224)


def test_without_test_images_those_of_the_training_count():
    cfg = Config.fromfile(ROOT / 'configs/plain/resnet18_8xb32_in1k.py')
    cfg.pop('test_dataloader')
    cfg.train_dataloader.dataset.pipeline[1].scale = 176
    assert image_shape(cfg) == (3, 176, 176)
    cfg.test_dataloader = None
    assert image_shape(cfg) == (3, 176, 176)
    cfg.train_dataloader = None
    with pytest.raises(ValueError, match='the image size is unknown'):
        image_shape(cfg)


def test_without_a_mean_the_backbone_says_the_channels():
    cfg = Config.fromfile(ROOT / 'configs/plain/resnet20_1xb64_digits.py')
    cfg.data_preprocessor.update(mean=None, std=None)
    assert image_shape(cfg) == (1, 8, 8)
    del cfg.model.backbone['in_channels']
    assert image_shape(cfg) == (3, 8, 8)


def test_a_preprocessor_needs_no_type():
    cfg = Config.fromfile(ROOT / 'configs/plain/resnet20_1xb64_digits.py')
    for preprocessor in (cfg.model.get('data_preprocessor'), cfg.data_preprocessor):
        if preprocessor is not None:
            preprocessor.pop('type')
    assert image_shape(cfg) == (1, 8, 8)


@pytest.mark.parametrize(
    'step', [dict(type='Resize', scale=(256, 128)), dict(type='Pad', size=(256, 128))]
)
def test_mmcv_has_the_width_first(step):
    cfg = Config.fromfile(ROOT / 'configs/plain/resnet18_8xb32_in1k.py')
    image = TRANSFORMS.build(step)(dict(img=np.zeros((9, 9, 3), np.uint8)))['img']
    crop = dict(type='CenterCrop', crop_size=9)
    cfg.test_dataloader.dataset.pipeline = [crop, step]
    assert image_shape(cfg) == (3, *image.shape[:2]) == (3, 128, 256)


def test_inside_wrappers():
    inner = dict(type='Digits', pipeline=[dict(type='PackInputs')])
    for wrapper in (
        dict(type='RepeatDataset', dataset=inner),
        dict(type='ConcatDataset', datasets=[inner]),
    ):
        assert pipeline_of(ConfigDict(wrapper)) == inner['pipeline']
    assert pipeline_of(ConfigDict(type='Own')) == []


def test_a_range_is_no_size():
    """Seen: (3, 0.08, 1.0) of MMPretrain's BEiT."""
    step = dict(type='RandomResizedCropAndInterpolationWithTwoPic', scale=(0.08, 1.0))
    for pipeline in (
        [dict(type='CenterCrop', crop_size=96), step],
        [dict(step, size=96, second_size=48)],
    ):
        loader = dict(dataset=dict(pipeline=pipeline))
        assert image_shape(Config(dict(model=dict(), test_dataloader=loader))) == (
            3,
            96,
            96,
        )
