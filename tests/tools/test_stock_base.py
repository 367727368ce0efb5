"""The README's lines over a base of MMPretrain's, with MMPretrain's installed tools."""

from pathlib import Path

import mmpretrain
import numpy as np
import pytest
import torch
from mmpretrain.registry import MODELS
from PIL import Image

import families
from paths import ROOT

STOCK = Path(mmpretrain.__file__).parent / '.mim/tools'
STRIP = ROOT / 'tools/model_converters/strip_side_branches.py'
TEXT = families.TEXT.format(base=families.FAMILIES['ResNet'])
# A config with other imports: the name of the classifier has the package in it.
WITHOUT_IMPORT = """
_base_ = 'mmpretrain::resnet/resnet18_8xb32_in1k.py'
custom_imports = dict(imports=['json'], allow_failed_imports=False)
custom_hooks = [dict(type='EMAHook', momentum=0.1)]
model = dict(type='dhm_plugin.DHMClassifier', mimicking_loss=dict(type='MimickingLoss'))
"""


@pytest.mark.parametrize(
    'text', [TEXT, pytest.param(WITHOUT_IMPORT, marks=pytest.mark.one_stack)]
)
def test_trains_and_is_stock_when_stripped(text, python, imagenet, tmp_path):
    config = tmp_path / 'mine.py'
    config.write_text(text)
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    options = [
        '--cfg-options',
        *(f'{loader}.dataset.data_root={imagenet}' for loader in loaders),
        # One of the training images cannot be read.
        *(f'{loader}.dataset.split=val' for loader in loaders),
        *(f'{loader}.num_workers=0' for loader in loaders),
        *(f'{loader}.persistent_workers=False' for loader in loaders),
        *(f'{loader}.batch_size=3' for loader in loaders),
        'train_dataloader.dataset.pipeline.1.scale=64',
        'train_cfg.max_epochs=1',
        'default_hooks.logger.interval=1',
    ]
    # Nothing of ours is imported before the config is read.
    train = ('--work-dir', tmp_path / 'work', *options)
    output = python(STOCK / 'train.py', config, *train, cwd=tmp_path)
    assert 'loss_mimic_side1: ' in output
    assert 'Epoch(val) [1][2/2]    accuracy/top1: ' in output
    for hook in ('LabelCheckHook', 'CheckpointCheckHook'):
        assert hook in output

    checkpoint = tmp_path / 'work/epoch_1.pth'
    stripped = tmp_path / 'stripped.pth'
    python(STRIP, checkpoint, stripped)
    plain = families.plain_config_of('ResNet')
    weights = torch.load(stripped, weights_only=True)['state_dict']
    MODELS.build(plain.model).load_state_dict(weights)


def test_vis_cam_draws_the_stock_networks_map(build, inline, tmp_path):
    pytest.importorskip('pytorch_grad_cam', reason="pip install 'dhm_plugin[cam]'")
    family = 'ShuffleNetV2'
    config, image = tmp_path / 'mine.py', tmp_path / 'image.png'
    config.write_text(families.TEXT.format(base=families.FAMILIES[family]))
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(image)
    checkpoint, stripped = tmp_path / 'trained.pth', tmp_path / 'stripped.pth'
    torch.save(dict(state_dict=build(config).state_dict()), checkpoint)
    inline(STRIP, checkpoint, stripped)
    plain = tmp_path / 'plain.py'
    plain.write_text(f"_base_ = 'mmpretrain::{families.FAMILIES[family]}'")
    vis_cam = STOCK / 'visualization/vis_cam.py'
    drawn = []
    for of in ((config, checkpoint), (plain, stripped)):
        path = tmp_path / f'{of[0].stem}.png'
        options = ('--target-category', '7', '--save-path', path)
        output = inline(vis_cam, image, *of, *options)
        assert 'the last norm layer "backbone.layers.3.bn" as the target' in output
        drawn.append(np.asarray(Image.open(path)))
    assert drawn[0].std() > 0
    assert np.array_equal(*drawn)
