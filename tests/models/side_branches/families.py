"""What makes a test of a stock config shorter."""

from mmengine import Config
from mmpretrain.registry import MODELS

import families
from families import TEXT

FAMILIES = {**families.FAMILIES, 'VGG': 'vgg/vgg11bn_8xb32_in1k.py'}  # it builds sooner
# A smaller network of the same family, or one for smaller images.
_SMALLER = {
    'VisionTransformer': "model.update(backbone=dict(arch='deit-tiny', img_size=64))\n"
    "model['head'] = dict(in_channels=192)",
    'DeiT': 'model.update(backbone=dict(img_size=64))',
    'SwinTransformer': 'model.update(backbone=dict(img_size=64, pad_small_map=True))',
}


def config_of(family, folder, more=''):
    """Write the lines over a family's stock config, and give what they say."""
    path = folder / f'{family}.py'
    text = TEXT.format(base=FAMILIES[family])
    path.write_text(text + _SMALLER.get(family, '') + more)
    return Config.fromfile(path)


def plain_config_of(family, folder):
    """Give the stock config, of the same size."""
    path = folder / f'plain_{family}.py'
    base = f"_base_ = 'mmpretrain::{FAMILIES[family]}'\nmodel = dict()\n"
    path.write_text(base + _SMALLER.get(family, ''))
    return Config.fromfile(path)


def build(cfg):
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


def size_of(family):
    return 224 if family == 'VGG' else 64
