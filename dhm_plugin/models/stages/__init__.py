"""Stages: the pieces that side branches, and our own backbones, are built of."""

from .cifar_resnet_stage import CIFARResNetStage
from .resnet_stage import ResNetStage

__all__ = ['CIFARResNetStage', 'ResNetStage']
