"""Backbones: the networks for small images."""

from .cifar_densenet import CIFARDenseNet
from .cifar_resnet import CIFARResNet
from .cifar_wide_resnet import CIFARWideResNet

__all__ = ['CIFARDenseNet', 'CIFARResNet', 'CIFARWideResNet']
