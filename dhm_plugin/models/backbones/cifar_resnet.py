"""The 3-stage ResNet for small images."""

from collections.abc import Sequence

from mmcv.cnn import build_norm_layer
from mmpretrain.registry import MODELS
from torch import nn

from ...checked_arguments import checked_arguments
from ..stages import CIFARResNetStage
from .cifar_backbone import INIT_CFG, CIFARBackbone


@MODELS.register_module()
@checked_arguments
class CIFARResNet(CIFARBackbone):
    """ResNet of three stages with parameter-free shortcuts.

    Source: He et al., *Deep Residual Learning*, CVPR 2016, section 4.2.

    Args:
        depth (int): Number of weighted layers, 6n+2 for n blocks a stage: 20, 32, 110,
            1202, ...
        in_channels (int): Channels of the images. Defaults to 3.
        base_channels (int): Channels of the first stage; each further stage has twice
            as many. Defaults to 16.
        out_indices (Sequence[int]): The stages, counted from 0, whose feature maps are
            returned. Defaults to ``(2, )``.
        frozen_stages (int): How many stages are frozen, from the first one. 0 freezes
            the stem alone, -1 nothing. Defaults to -1.
        with_cp (bool): Whether to save memory by activation checkpointing.
            Defaults to False.
        norm_cfg (dict, optional): Config of the norm layers. Defaults to None, which
            means ``dict(type='BN')``.
        init_cfg (dict | Sequence[dict], optional): Initialization config. Defaults to
            Kaiming for convolutions and 1 for norm layers.

    Raises:
        ValueError: If ``depth`` is not 6n+2, or ``out_indices`` or ``frozen_stages``
            name a stage that there is not.

    Example:
        >>> import torch
        >>> from dhm_plugin import CIFARResNet
        >>> model = CIFARResNet(depth=20, out_indices=(0, 1, 2))
        >>> [tuple(x.shape) for x in model(torch.rand(1, 3, 32, 32))]
        [(1, 16, 32, 32), (1, 32, 16, 16), (1, 64, 8, 8)]
    """

    def __init__(
        self,
        depth: int,
        in_channels: int = 3,
        base_channels: int = 16,
        out_indices: Sequence[int] = (2,),
        frozen_stages: int = -1,
        with_cp: bool = False,
        norm_cfg: dict | None = None,
        init_cfg: dict | Sequence[dict] | None = INIT_CFG,
    ) -> None:
        super().__init__(out_indices, frozen_stages, init_cfg)
        if depth < 8 or depth % 6 != 2:
            raise ValueError(
                f'CIFARResNet: depth={depth}; it must be 6n+2, such as 20, 32 or 110'
            )
        norm_cfg = norm_cfg or dict(type='BN')
        self.stage_options = dict(with_cp=with_cp, norm_cfg=norm_cfg)
        self.conv1 = nn.Conv2d(in_channels, base_channels, 3, padding=1, bias=False)
        self.bn1 = build_norm_layer(norm_cfg, base_channels)[1]
        self.relu = nn.ReLU(inplace=True)
        channels = base_channels
        for i in range(self.num_stages):
            stage = CIFARResNetStage(
                channels,
                base_channels * 2**i,
                num_blocks=(depth - 2) // 6,
                stride=1 if i == 0 else 2,
                **self.stage_options,
            )
            self.add_module(f'layer{i + 1}', stage)
            channels = stage.out_channels
        self._freeze_stages()

    def stem(self) -> Sequence[nn.Module]:
        """Give the modules before the first stage."""
        return self.conv1, self.bn1, self.relu

    def stage(self, index: int) -> Sequence[nn.Module]:
        """Give the modules of a stage."""
        return (getattr(self, f'layer{index + 1}'),)

    def side_stage(self, index: int, num_blocks: int, widen: int) -> list[dict]:
        """Describe what a side branch has in the place of a stage."""
        channels = self.stage(index)[0].out_channels * widen
        return [
            dict(
                type='CIFARResNetStage',
                out_channels=channels,
                num_blocks=num_blocks,
                **self.stage_options,
            )
        ]
