"""What the networks for small images share."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import nn

INIT_CFG = (
    dict(type='Kaiming', layer=['Conv2d']),
    dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
)


class CIFARBackbone(BaseBackbone):
    """A stem and three stages, some of whose maps are returned.

    Args:
        out_indices (Sequence[int]): The stages, counted from 0, whose feature maps are
            returned.
        frozen_stages (int): How many stages are frozen, from the first one. 0 freezes
            the stem alone, -1 nothing.
        init_cfg (dict | Sequence[dict] | None): Initialization config.

    Raises:
        ValueError: If ``out_indices`` or ``frozen_stages`` name a stage that there is
            not.
    """

    num_stages = 3

    def __init__(
        self,
        out_indices: Sequence[int],
        frozen_stages: int,
        init_cfg: dict | Sequence[dict] | None,
    ) -> None:
        super().__init__(list(init_cfg) if isinstance(init_cfg, tuple) else init_cfg)
        name = type(self).__name__
        stages = range(self.num_stages)
        listed = out_indices and isinstance(out_indices, Sequence)
        if not listed or any(index not in stages for index in out_indices):
            raise ValueError(
                f'{name}: out_indices={out_indices!r}; it must be a list of stages, from '
                f'0 to {self.num_stages - 1}'
            )
        if not -1 <= frozen_stages <= self.num_stages:
            raise ValueError(
                f'{name}: frozen_stages={frozen_stages}; it must be from -1 to '
                f'{self.num_stages}'
            )
        self.out_indices = out_indices
        self.frozen_stages = frozen_stages

    @abstractmethod
    def stem(self) -> Sequence[nn.Module]:
        """Give the modules before the first stage, in their order."""

    @abstractmethod
    def stage(self, index: int) -> Sequence[nn.Module]:
        """Give the modules of a stage, in their order."""

    def channels_of(self, index: int) -> int:
        """Give the channels of a stage's feature map."""
        return self.stage(index)[-1].out_channels

    @abstractmethod
    def side_stage(self, index: int, num_blocks: int, widen: int) -> list[dict]:
        """Describe what a side branch has in the place of a stage.

        Args:
            index (int): The stage, counted from 0.
            num_blocks (int): Its number of blocks; of layers, in a DenseNet.
            widen (int): How many times as wide it is; in a DenseNet, its growth rate.

        Returns:
            list[dict]: Configs of modules for a :class:`SideBranchNeck`, without their
            ``in_channels``.
        """

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Map images (N, in_channels, H, W) to the maps of ``out_indices``."""
        for module in self.stem():
            x = module(x)
        maps = []
        for i in range(self.num_stages):
            for module in self.stage(i):
                x = module(x)
            if i in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def train(self, mode: bool = True) -> nn.Module:
        """Set the mode; frozen stages stay in evaluation mode."""
        super().train(mode)
        self._freeze_stages()
        return self

    def _freeze_stages(self) -> None:
        if self.frozen_stages < 0:
            return
        frozen = [self.stem(), *(self.stage(i) for i in range(self.frozen_stages))]
        for module in (module for modules in frozen for module in modules):
            module.eval()
            module.requires_grad_(False)
