"""Stages: the pieces that side branches, and our own backbones, are built of."""

from .cifar_resnet_stage import CIFARResNetStage
from .densenet_stage import DenseNetStage, DenseNetTransition
from .norm_relu import NormReLU
from .resnet_stage import ResNetStage
from .wide_resnet_stage import WideResNetStage

__all__ = [
    'CIFARResNetStage',
    'DenseNetStage',
    'DenseNetTransition',
    'NormReLU',
    'ResNetStage',
    'WideResNetStage',
]
