"""The end of a pre-activation branch."""

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmpretrain.registry import MODELS
from torch import nn

from ...checked_arguments import checked_arguments


@MODELS.register_module()
@checked_arguments
class NormReLU(nn.Module):
    """A norm layer and a ReLU: what pre-activation stages need before pooling.

    Args:
        in_channels (int): Channels of the feature map.
        norm_cfg (dict, optional): Config of the norm layer. Defaults to None, which
            means ``dict(type='BN')``.
    """

    def __init__(self, in_channels: int, norm_cfg: dict | None = None) -> None:
        super().__init__()
        self.in_channels = self.out_channels = in_channels
        self.bn = build_norm_layer(norm_cfg or dict(type='BN'), in_channels)[1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in_channels, H, W) to the same shape."""
        return F.relu(self.bn(x))
