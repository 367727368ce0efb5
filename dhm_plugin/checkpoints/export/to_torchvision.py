"""To the ImageNet ResNets of torchvision and timm."""

import torch
from mmpretrain.models import ResNet
from torch import nn

from .. import CheckpointError
from .trained import TrainedNetwork


def resnet_weights(trained: TrainedNetwork) -> dict[str, torch.Tensor]:
    """Rename the weights of a ResNet as torchvision and timm name them.

    Args:
        trained (TrainedNetwork): The trained network.

    Returns:
        dict[str, torch.Tensor]: The weights by their keys.

    Raises:
        CheckpointError: If it is not a ResNet that both know.
    """
    backbone = trained.model.backbone
    if type(backbone) is not ResNet or backbone.deep_stem or backbone.style != 'pytorch':
        raise CheckpointError(
            "only MMPretrain's ResNet of style 'pytorch' is in torchvision and timm too, "
            f'not this {type(backbone).__name__}; export it to mmpretrain or onnx'
        )
    return {
        key.removeprefix('backbone.').removeprefix('head.'): value
        for key, value in trained.model.state_dict().items()
    }


def resnet(trained: TrainedNetwork, to: str) -> nn.Module:
    """Build a package's network of the same depth and classes.

    Args:
        trained (TrainedNetwork): The trained network, a ResNet.
        to (str): ``'torchvision'`` or ``'timm'``.

    Returns:
        nn.Module: The network with its own weights.

    Raises:
        ImportError: If the package is not installed.
    """
    if to == 'timm':
        from timm import create_model as create
    else:
        from torchvision.models import get_model as create
    name = f'resnet{trained.model.backbone.depth}'
    return create(name, num_classes=trained.model.head.num_classes)
