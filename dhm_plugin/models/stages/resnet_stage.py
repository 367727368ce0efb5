"""One stage of an ImageNet ResNet."""

import torch
from mmengine.model import constant_init
from mmpretrain.models.backbones.resnet import BasicBlock, Bottleneck, ResLayer
from mmpretrain.registry import MODELS

from ...checked_arguments import checked_arguments
from .checkpointing import run_block

_BLOCKS = {'BasicBlock': BasicBlock, 'Bottleneck': Bottleneck}


@MODELS.register_module()
@checked_arguments
class ResNetStage(ResLayer):
    """The residual blocks of one stage, as MMPretrain's ``ResNet`` has them.

    Args:
        in_channels (int): Channels of the incoming feature map.
        out_channels (int): Channels of the outgoing feature map: in a bottleneck,
            after its expansion of 4.
        num_blocks (int): Number of blocks, at least 1.
        block (str): ``'BasicBlock'`` (ResNet-18, 34) or ``'Bottleneck'`` (ResNet-50,
            101, 152). Defaults to ``'BasicBlock'``.
        stride (int): Stride of the first block. Defaults to 2.
        with_cp (bool): Whether to save memory by activation checkpointing.
            Defaults to False.
        norm_cfg (dict, optional): Config of the norm layers. Defaults to None, which
            means ``dict(type='BN')``.
        zero_init_residual (bool): Whether the last norm layer of each block starts
            at 0, as in MMPretrain's ``ResNet``. Defaults to True.

    Raises:
        ValueError: If ``block`` is neither of the two, or ``num_blocks`` is not
            positive.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_blocks: int,
        block: str = 'BasicBlock',
        stride: int = 2,
        with_cp: bool = False,
        norm_cfg: dict | None = None,
        zero_init_residual: bool = True,
    ) -> None:
        if block not in _BLOCKS:
            raise ValueError(
                f'ResNetStage: block={block!r}; it must be one of {sorted(_BLOCKS)}'
            )
        if num_blocks < 1:
            raise ValueError(
                f'ResNetStage: num_blocks={num_blocks}; it must be at least 1'
            )
        super().__init__(
            block=_BLOCKS[block],
            num_blocks=num_blocks,
            in_channels=in_channels,
            out_channels=out_channels,
            stride=stride,
            norm_cfg=norm_cfg or dict(type='BN'),
        )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.with_cp = with_cp
        self.zero_init_residual = zero_init_residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the blocks."""
        for block in self:
            x = run_block(block, x, with_cp=self.with_cp)
        return x

    def init_weights(self) -> None:
        """Start every block as an identity; the rest is the owner's ``init_cfg``."""
        if self.zero_init_residual:
            for block in self:
                last = block.norm3 if isinstance(block, Bottleneck) else block.norm2
                constant_init(last, 0)
