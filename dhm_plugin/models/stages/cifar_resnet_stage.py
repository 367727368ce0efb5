"""One stage of a CIFAR ResNet."""

import torch
import torch.nn.functional as F
from mmpretrain.models.backbones.resnet import BasicBlock
from mmpretrain.registry import MODELS
from torch import nn

from ...checked_arguments import checked_arguments
from .checkpointing import run_block


class ParameterFreeShortcut(nn.Module):
    """Average pooling for the stride, zero channels for the width.

    Source: He et al., *Deep Residual Learning*, CVPR 2016, section 4.2 (option A),
    with 2x2 average pooling in place of subsampling.

    Args:
        in_channels (int): Channels of the incoming feature map.
        out_channels (int): Channels of the outgoing one; not fewer.
        stride (int): Side of the pooling window, and its stride.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.zero_channels = out_channels - in_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H/stride, W/stride)."""
        if self.stride > 1:
            # Odd sizes round up, as those of the strided convolution beside it.
            x = F.avg_pool2d(x, self.stride, ceil_mode=True)
        return F.pad(x, (0, 0, 0, 0, 0, self.zero_channels))


@MODELS.register_module()
@checked_arguments
class CIFARResNetStage(nn.Sequential):
    """Basic blocks whose shortcuts have no parameters.

    Args:
        in_channels (int): Channels of the incoming feature map.
        out_channels (int): Channels of the outgoing feature map; not fewer.
        num_blocks (int): Number of blocks, at least 1.
        stride (int): Stride of the first block. Defaults to 2.
        with_cp (bool): Whether to save memory by activation checkpointing.
            Defaults to False.
        norm_cfg (dict, optional): Config of the norm layers. Defaults to None, which
            means ``dict(type='BN')``.

    Raises:
        ValueError: If ``out_channels`` is less than ``in_channels``, or
            ``num_blocks`` is not positive.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_blocks: int,
        stride: int = 2,
        with_cp: bool = False,
        norm_cfg: dict | None = None,
    ) -> None:
        if out_channels < in_channels:
            raise ValueError(
                f'CIFARResNetStage: out_channels={out_channels} is less than '
                f'in_channels={in_channels}; a shortcut without parameters can only '
                'add channels'
            )
        if num_blocks < 1:
            raise ValueError(
                f'CIFARResNetStage: num_blocks={num_blocks}; it must be at least 1'
            )
        norm_cfg = norm_cfg or dict(type='BN')
        shortcut = None
        if stride != 1 or in_channels != out_channels:
            shortcut = ParameterFreeShortcut(in_channels, out_channels, stride)
        super().__init__(
            BasicBlock(
                in_channels,
                out_channels,
                stride=stride,
                downsample=shortcut,
                norm_cfg=norm_cfg,
            ),
            *(
                BasicBlock(out_channels, out_channels, norm_cfg=norm_cfg)
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
