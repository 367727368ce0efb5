"""The DenseNet for small images."""

from collections.abc import Sequence

from mmpretrain.registry import MODELS
from torch import nn

from ...checked_arguments import checked_arguments
from ..stages import DenseNetStage, DenseNetTransition, NormReLU
from .cifar_backbone import INIT_CFG, CIFARBackbone


@MODELS.register_module()
@checked_arguments
class CIFARDenseNet(CIFARBackbone):
    """DenseNet of three stages, basic or with bottlenecks and compression (BC).

    Source: Huang et al., *Densely Connected Convolutional Networks*, CVPR 2017.

    Args:
        depth (int): Number of weighted layers: 3n+4 for n layers a stage (40, 100), 6n+4
            with bottlenecks (100, 190, 250).
        growth_rate (int): Channels that each layer adds.
        bottleneck (bool): Whether it is a DenseNet-BC: 1x1 convolutions before the 3x3
            ones, transitions that halve the channels, and a stem of twice the growth
            rate in place of 16 channels. Defaults to False.
        in_channels (int): Channels of the images. Defaults to 3.
        out_indices (Sequence[int]): The stages, counted from 0, whose feature maps are
            returned: after the transition, the last one's after its norm and ReLU.
            Defaults to ``(2, )``.
        frozen_stages (int): How many stages are frozen, from the first one. 0 freezes
            the stem alone, -1 nothing. Defaults to -1.
        with_cp (bool): Whether to save memory by activation checkpointing.
            Defaults to False.
        norm_cfg (dict, optional): Config of the norm layers. Defaults to None, which
            means ``dict(type='BN')``.
        init_cfg (dict | Sequence[dict], optional): Initialization config. Defaults to
            Kaiming for convolutions and 1 for norm layers.

    Raises:
        ValueError: If ``depth`` is not of the formula, or ``out_indices`` or
            ``frozen_stages`` name a stage that there is not.

    Example:
        >>> import torch
        >>> from dhm_plugin import CIFARDenseNet
        >>> model = CIFARDenseNet(depth=40, growth_rate=12, out_indices=(0, 1, 2))
        >>> [tuple(x.shape) for x in model(torch.rand(1, 3, 32, 32))]
        [(1, 160, 16, 16), (1, 304, 8, 8), (1, 448, 8, 8)]
    """

    def __init__(
        self,
        depth: int,
        growth_rate: int,
        bottleneck: bool = False,
        in_channels: int = 3,
        out_indices: Sequence[int] = (2,),
        frozen_stages: int = -1,
        with_cp: bool = False,
        norm_cfg: dict | None = None,
        init_cfg: dict | Sequence[dict] | None = INIT_CFG,
    ) -> None:
        super().__init__(out_indices, frozen_stages, init_cfg)
        period = 6 if bottleneck else 3
        if depth < period + 4 or depth % period != 4 % period:
            formula = '6n+4, such as 100' if bottleneck else '3n+4, such as 40'
            raise ValueError(f'CIFARDenseNet: depth={depth}; it must be {formula}')
        self.growth_rate = growth_rate
        self.compression = 0.5 if bottleneck else 1.0
        self.stage_options = dict(
            bottleneck=bottleneck, with_cp=with_cp, norm_cfg=norm_cfg
        )
        channels = 2 * growth_rate if bottleneck else 16
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        for i in range(self.num_stages):
            stage = DenseNetStage(
                channels,
                num_layers=(depth - 4) // period,
                growth_rate=growth_rate,
                **self.stage_options,
            )
            self.add_module(f'layer{i + 1}', stage)
            channels = stage.out_channels
            if i < self.num_stages - 1:
                transition = DenseNetTransition(channels, self.compression, norm_cfg)
                self.add_module(f'transition{i + 1}', transition)
                channels = transition.out_channels
        self.norm = NormReLU(channels, norm_cfg)
        self._freeze_stages()

    def stem(self) -> Sequence[nn.Module]:
        """Give the modules before the first stage."""
        return (self.conv1,)

    def stage(self, index: int) -> Sequence[nn.Module]:
        """Give the modules of a stage, with its transition, or norm and ReLU."""
        last = index == self.num_stages - 1
        end = self.norm if last else getattr(self, f'transition{index + 1}')
        return getattr(self, f'layer{index + 1}'), end

    def side_stage(self, index: int, num_blocks: int, widen: int) -> list[dict]:
        """Describe what a side branch has in the place of a stage."""
        stage = dict(
            type='DenseNetStage',
            num_layers=num_blocks,
            growth_rate=self.growth_rate * widen,
            **self.stage_options,
        )
        norm_cfg = self.stage_options['norm_cfg']
        if index == self.num_stages - 1:
            return [stage, dict(type='NormReLU', norm_cfg=norm_cfg)]
        transition = dict(
            type='DenseNetTransition', compression=self.compression, norm_cfg=norm_cfg
        )
        return [stage, transition]
