"""One stage of a DenseNet, and the transition to the next one."""

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmpretrain.registry import MODELS
from torch import nn

from ...checked_arguments import checked_arguments
from .checkpointing import run_block


class DenseLayer(nn.Module):
    """Norm, ReLU and a 3x3 convolution over all feature maps before it.

    Args:
        in_channels (int): Channels of all those maps together.
        growth_rate (int): Channels that it adds.
        norm_cfg (dict): Config of the norm layers.
    """

    def __init__(self, in_channels: int, growth_rate: int, norm_cfg: dict) -> None:
        super().__init__()
        self.bn = build_norm_layer(norm_cfg, in_channels)[1]
        self.conv = nn.Conv2d(in_channels, growth_rate, 3, padding=1, bias=False)

    def forward(self, *maps: torch.Tensor) -> torch.Tensor:
        """Map any number of (N, C_i, H, W) to (N, growth_rate, H, W)."""
        return self.conv(F.relu(self.bn(torch.cat(maps, dim=1))))


class BottleneckDenseLayer(nn.Module):
    """The same with a 1x1 convolution to 4 times the growth rate before it.

    Args:
        in_channels (int): Channels of all those maps together.
        growth_rate (int): Channels that it adds.
        norm_cfg (dict): Config of the norm layers.
    """

    def __init__(self, in_channels: int, growth_rate: int, norm_cfg: dict) -> None:
        super().__init__()
        width = 4 * growth_rate
        self.bn1 = build_norm_layer(norm_cfg, in_channels)[1]
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn2 = build_norm_layer(norm_cfg, width)[1]
        self.conv2 = nn.Conv2d(width, growth_rate, 3, padding=1, bias=False)

    def forward(self, *maps: torch.Tensor) -> torch.Tensor:
        """Map any number of (N, C_i, H, W) to (N, growth_rate, H, W)."""
        out = self.conv1(F.relu(self.bn1(torch.cat(maps, dim=1))))
        return self.conv2(F.relu(self.bn2(out)))


@MODELS.register_module()
@checked_arguments
class DenseNetStage(nn.Sequential):
    """A dense block. A branch of them ends with :class:`NormReLU`.

    Source: Huang et al., *Densely Connected Convolutional Networks*, CVPR 2017.

    Args:
        in_channels (int): Channels of the incoming feature map.
        num_layers (int): Number of layers, at least 1.
        growth_rate (int): Channels that each layer adds.
        bottleneck (bool): Whether each layer has a 1x1 convolution before its 3x3 one
            (DenseNet-BC). Defaults to False.
        with_cp (bool): Whether to save memory by activation checkpointing: then the
            maps that the layers add are kept, and no concatenation. Defaults to False.
        norm_cfg (dict, optional): Config of the norm layers. Defaults to None, which
            means ``dict(type='BN')``.

    Raises:
        ValueError: If ``num_layers`` is not positive.
    """

    def __init__(
        self,
        in_channels: int,
        num_layers: int,
        growth_rate: int,
        bottleneck: bool = False,
        with_cp: bool = False,
        norm_cfg: dict | None = None,
    ) -> None:
        if num_layers < 1:
            raise ValueError(
                f'DenseNetStage: num_layers={num_layers}; it must be at least 1'
            )
        layer = BottleneckDenseLayer if bottleneck else DenseLayer
        norm_cfg = norm_cfg or dict(type='BN')
        super().__init__(
            *(
                layer(in_channels + i * growth_rate, growth_rate, norm_cfg)
                for i in range(num_layers)
            )
        )
        self.in_channels = in_channels
        self.out_channels = in_channels + num_layers * growth_rate
        self.with_cp = with_cp

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        maps = [x]
        for layer in self:
            maps.append(run_block(layer, *maps, with_cp=self.with_cp))
        return torch.cat(maps, dim=1)


@MODELS.register_module()
@checked_arguments
class DenseNetTransition(nn.Module):
    """Norm, ReLU, a 1x1 convolution and 2x2 average pooling between two stages.

    Args:
        in_channels (int): Channels of the incoming feature map.
        compression (float): The outgoing channels over the incoming ones; rounded down.
            Defaults to 1.0.
        norm_cfg (dict, optional): Config of the norm layer. Defaults to None, which
            means ``dict(type='BN')``.
    """

    def __init__(
        self, in_channels: int, compression: float = 1.0, norm_cfg: dict | None = None
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels = int(in_channels * compression)
        self.bn = build_norm_layer(norm_cfg or dict(type='BN'), in_channels)[1]
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H/2, W/2)."""
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)
