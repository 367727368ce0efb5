"""The wide ResNet for small images."""

from collections.abc import Sequence

from mmpretrain.registry import MODELS
from torch import nn

from ...checked_arguments import checked_arguments
from ..stages import NormReLU, WideResNetStage
from .cifar_backbone import INIT_CFG, CIFARBackbone


@MODELS.register_module()
@checked_arguments
class CIFARWideResNet(CIFARBackbone):
    """Pre-activation ResNet of three wide stages.

    Source: Zagoruyko & Komodakis, *Wide Residual Networks*, BMVC 2016.

    Args:
        depth (int): Number of weighted layers, 6n+4 for n blocks a stage: 16, 28, ...
        widen_factor (int): How many times 16 channels the first stage has; each further
            stage has twice as many.
        in_channels (int): Channels of the images. Defaults to 3.
        dropout (float): Probability that a value is dropped between the convolutions
            of a block. Defaults to 0.0.
        out_indices (Sequence[int]): The stages, counted from 0, whose feature maps are
            returned; the last one's after its norm and ReLU. Defaults to ``(2, )``.
        frozen_stages (int): How many stages are frozen, from the first one. 0 freezes
            the stem alone, -1 nothing. Defaults to -1.
        with_cp (bool): Whether to save memory by activation checkpointing.
            Defaults to False.
        norm_cfg (dict, optional): Config of the norm layers. Defaults to None, which
            means ``dict(type='BN')``.
        init_cfg (dict | Sequence[dict], optional): Initialization config. Defaults to
            Kaiming for convolutions and 1 for norm layers.

    Raises:
        ValueError: If ``depth`` is not 6n+4, ``widen_factor`` is not positive, or
            ``out_indices`` or ``frozen_stages`` name a stage that there is not.

    Example:
        >>> import torch
        >>> from dhm_plugin import CIFARWideResNet
        >>> model = CIFARWideResNet(depth=16, widen_factor=8, out_indices=(0, 1, 2))
        >>> [tuple(x.shape) for x in model(torch.rand(1, 3, 32, 32))]
        [(1, 128, 32, 32), (1, 256, 16, 16), (1, 512, 8, 8)]
    """

    def __init__(
        self,
        depth: int,
        widen_factor: int,
        in_channels: int = 3,
        dropout: float = 0.0,
        out_indices: Sequence[int] = (2,),
        frozen_stages: int = -1,
        with_cp: bool = False,
        norm_cfg: dict | None = None,
        init_cfg: dict | Sequence[dict] | None = INIT_CFG,
    ) -> None:
        super().__init__(out_indices, frozen_stages, init_cfg)
        if depth < 10 or depth % 6 != 4:
            raise ValueError(
                f'CIFARWideResNet: depth={depth}; it must be 6n+4, such as 16 or 28'
            )
        if widen_factor < 1:
            raise ValueError(
                f'CIFARWideResNet: widen_factor={widen_factor}; it must be at least 1'
            )
        self.stage_options = dict(dropout=dropout, with_cp=with_cp, norm_cfg=norm_cfg)
        channels = 16
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        for i in range(self.num_stages):
            stage = WideResNetStage(
                channels,
                16 * widen_factor * 2**i,
                num_blocks=(depth - 4) // 6,
                stride=1 if i == 0 else 2,
                **self.stage_options,
            )
            self.add_module(f'layer{i + 1}', stage)
            channels = stage.out_channels
        self.norm = NormReLU(channels, norm_cfg)
        self._freeze_stages()

    def stem(self) -> Sequence[nn.Module]:
        """Give the modules before the first stage."""
        return (self.conv,)

    def stage(self, index: int) -> Sequence[nn.Module]:
        """Give the modules of a stage; the last one ends with norm and ReLU."""
        end = (self.norm,) if index == self.num_stages - 1 else ()
        return getattr(self, f'layer{index + 1}'), *end

    def side_stage(self, index: int, num_blocks: int, widen: int) -> list[dict]:
        """Describe what a side branch has in the place of a stage."""
        channels = self.stage(index)[0].out_channels * widen
        stage = dict(
            type='WideResNetStage',
            out_channels=channels,
            num_blocks=num_blocks,
            **self.stage_options,
        )
        end = dict(type='NormReLU', norm_cfg=self.stage_options['norm_cfg'])
        return [stage, end] if index == self.num_stages - 1 else [stage]
