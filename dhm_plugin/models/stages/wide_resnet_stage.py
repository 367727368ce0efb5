"""One stage of a wide ResNet."""

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmpretrain.registry import MODELS
from torch import nn

from ...checked_arguments import checked_arguments
from .checkpointing import run_block


class WideBasicBlock(nn.Module):
    """Pre-activation basic block, with dropout before its second convolution.

    Source: Zagoruyko & Komodakis, *Wide Residual Networks*, BMVC 2016, figure 1(d).

    Args:
        in_channels (int): Channels of the incoming feature map.
        out_channels (int): Channels of the outgoing one.
        stride (int): Stride of the first convolution and of the shortcut.
        dropout (float): Probability that a value is dropped.
        norm_cfg (dict): Config of the norm layers.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        dropout: float,
        norm_cfg: dict,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.bn1 = build_norm_layer(norm_cfg, in_channels)[1]
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn2 = build_norm_layer(norm_cfg, out_channels)[1]
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.shortcut = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H/stride, W/stride)."""
        out = F.relu(self.bn1(x))
        identity = x if self.shortcut is None else self.shortcut(out)
        out = F.relu(self.bn2(self.conv1(out)))
        out = F.dropout(out, self.dropout, self.training)
        return self.conv2(out) + identity


@MODELS.register_module()
@checked_arguments
class WideResNetStage(nn.Sequential):
    """Wide pre-activation basic blocks. A branch of them ends with :class:`NormReLU`.

    Args:
        in_channels (int): Channels of the incoming feature map.
        out_channels (int): Channels of the outgoing feature map.
        num_blocks (int): Number of blocks, at least 1.
        stride (int): Stride of the first block. Defaults to 2.
        dropout (float): Probability that a value is dropped between the convolutions
            of a block. Defaults to 0.0.
        with_cp (bool): Whether to save memory by activation checkpointing.
            Defaults to False.
        norm_cfg (dict, optional): Config of the norm layers. Defaults to None, which
            means ``dict(type='BN')``.

    Raises:
        ValueError: If ``num_blocks`` is not positive, or ``dropout`` no probability.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_blocks: int,
        stride: int = 2,
        dropout: float = 0.0,
        with_cp: bool = False,
        norm_cfg: dict | None = None,
    ) -> None:
        if num_blocks < 1:
            raise ValueError(
                f'WideResNetStage: num_blocks={num_blocks}; it must be at least 1'
            )
        if not 0 <= dropout < 1:
            raise ValueError(
                f'WideResNetStage: dropout={dropout}; it must be from 0 to less than 1'
            )
        common = dict(dropout=dropout, norm_cfg=norm_cfg or dict(type='BN'))
        super().__init__(
            WideBasicBlock(in_channels, out_channels, stride, **common),
            *(
                WideBasicBlock(out_channels, out_channels, 1, **common)
                for _ in range(num_blocks - 1)
            ),
        )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.with_cp = with_cp

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the blocks."""
        for block in self:
            x = run_block(block, x, with_cp=self.with_cp)
        return x
