"""To the ImageNet ResNets of torchvision and timm."""

from collections.abc import Callable

import torch
from mmpretrain.models import ResNet
from torch import nn

from .. import CheckpointError
from .to_mmpretrain import check_image_classifier
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
    check_image_classifier(trained)
    backbone = trained.model.backbone
    if type(backbone) is not ResNet or backbone.deep_stem or backbone.style != 'pytorch':
        raise CheckpointError(
            "only MMPretrain's ResNet of style 'pytorch' is in torchvision and timm too, "
            f'not this {type(backbone).__name__}; export it to mmpretrain or onnx'
        )
    return {
        key.removeprefix('backbone.').removeprefix('head.'): value
        for key, value in trained.state_dict.items()
    }


def torchvision_network(trained: TrainedNetwork) -> nn.Module:
    """Build torchvision's network of the same depth and classes.

    Args:
        trained (TrainedNetwork): The trained network, a ResNet.

    Returns:
        nn.Module: The network with its own weights.
    """
    import torchvision

    return _build(torchvision.models.get_model, trained)


def timm_network(trained: TrainedNetwork) -> nn.Module:
    """Build timm's network of the same depth and classes.

    Args:
        trained (TrainedNetwork): The trained network, a ResNet.

    Returns:
        nn.Module: The network with its own weights.
    """
    import timm

    return _build(timm.create_model, trained)


def _build(create: Callable, trained: TrainedNetwork) -> nn.Module:
    name = f'resnet{trained.model.backbone.depth}'
    return create(name, num_classes=trained.model.head.num_classes)
