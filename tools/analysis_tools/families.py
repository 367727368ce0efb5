"""Stock configs of MMPretrain's families, and the lines that add side branches."""

from mmengine import Config

# The README's lines.
TEXT = """
_base_ = 'mmpretrain::{base}'
custom_imports = dict(imports=['dhm_plugin'], allow_failed_imports=False)
model = dict(type='DHMClassifier', mimicking_loss=dict(type='MimickingLoss'))
"""
FAMILIES = {
    'ResNet': 'resnet/resnet18_8xb32_in1k.py',
    'ResNetV1d': 'resnet/resnetv1d50_8xb32_in1k.py',
    'ResNeXt': 'resnext/resnext50-32x4d_8xb32_in1k.py',
    'SEResNet': 'seresnet/seresnet50_8xb32_in1k.py',
    'RegNet': 'regnet/regnetx-400mf_8xb128_in1k.py',
    'MobileNetV2': 'mobilenet_v2/mobilenet-v2_8xb32_in1k.py',
    'MobileNetV3': 'mobilenet_v3/mobilenet-v3-small_8xb128_in1k.py',
    'ShuffleNetV2': 'shufflenet_v2/shufflenet-v2-1x_16xb64_in1k.py',
    'EfficientNet': 'efficientnet/efficientnet-b0_8xb32_in1k.py',
    'EfficientNetV2': 'efficientnet_v2/efficientnetv2-b0_8xb32_in1k.py',
    'RepVGG': 'repvgg/repvgg-A0_8xb32_in1k.py',
    'MobileOne': 'mobileone/mobileone-s0_8xb32_in1k.py',
    'VGG': 'vgg/vgg16bn_8xb32_in1k.py',
    'DenseNet': 'densenet/densenet121_4xb256_in1k.py',
    'ConvNeXt': 'convnext/convnext-tiny_32xb128_in1k.py',
    'HRNet': 'hrnet/hrnet-w18_4xb32_in1k.py',
    'SwinTransformer': 'swin_transformer/swin-tiny_16xb64_in1k.py',
    'VisionTransformer': 'vision_transformer/vit-base-p16_64xb64_in1k.py',
    'DeiT': 'deit/deit-tiny_4xb256_in1k.py',
    'CSPDarkNet': 'cspnet/cspdarknet50_8xb32_in1k.py',
    'PoolFormer': 'poolformer/poolformer-s12_32xb128_in1k.py',
}


def config_of(family: str) -> Config:
    """Give a family's stock config with side branches.

    Args:
        family (str): One of :data:`FAMILIES`.

    Returns:
        Config: The config.
    """
    return Config.fromstring(TEXT.format(base=FAMILIES[family]), '.py')


def plain_config_of(family: str) -> Config:
    """Give a family's stock config.

    Args:
        family (str): One of :data:`FAMILIES`.

    Returns:
        Config: The config.
    """
    return Config.fromstring(f"_base_ = 'mmpretrain::{FAMILIES[family]}'", '.py')
