"""Side branches as a row of the paper's table: numbers of blocks, and what is widened."""

from collections.abc import Sequence

from mmcv.cnn.bricks import DropPath
from mmengine.utils import is_seq_of
from mmpretrain.models import ResNet
from mmpretrain.models.backbones.resnet import get_expansion
from torch import nn

from ...checked_arguments import is_integer
from ..backbones.cifar_backbone import CIFARBackbone


def with_stages(backbone: nn.Module, branches: Sequence[dict]) -> list[dict]:
    """Describe the stages of side branches that say their number of blocks alone.

    The backbone's ``out_indices`` get what the branches fork from, where they are the
    last stage's alone.

    Source: Li & Chen, CVPR 2020, the table of side branches.

    Args:
        backbone (nn.Module): An MMPretrain ``ResNet`` or one of ours for small images.
        branches (Sequence[dict]): As :class:`SideBranchNeck` takes them; in the place of
            ``stages`` one may have

            - num_blocks (int | Sequence[int]): Number of blocks of each of its stages;
              in a DenseNet, of layers. It forks so many stages before the end.
            - widen (int, optional): How many times as wide as the network's its last
              stage is; in a DenseNet, its growth rate. Defaults to 1.

    Returns:
        list[dict]: The same with ``stages``.

    Raises:
        ValueError: If the backbone's stages are not known, their number is another, or
            ``widen`` is no positive integer.
    """
    if all('num_blocks' not in branch for branch in branches):
        return list(branches)
    if any('num_blocks' not in branch for branch in branches):
        raise ValueError(
            'SideBranchNeck: some of the branches have num_blocks, and others do not; '
            'describe the `stages` of all of them, or of none'
        )
    indices = tuple(getattr(backbone, 'out_indices', ()))
    if len(indices) == 1:
        forks = {indices[-1] - len(_blocks(branch)) for branch in branches}
        indices = (*sorted(fork for fork in forks if fork >= 0), *indices)
    described = [_with_stages(backbone, indices, *item) for item in enumerate(branches)]
    backbone.out_indices = indices
    return described


def _blocks(branch: dict) -> list[int]:
    blocks = branch['num_blocks']
    blocks = [blocks] if is_integer(blocks) else blocks
    if not is_seq_of(blocks, int) or not blocks or not all(map(is_integer, blocks)):
        raise ValueError(
            f'SideBranchNeck: num_blocks={blocks!r}; it must be an integer, or a list of '
            'one for each stage'
        )
    return list(blocks)


def _with_stages(
    backbone: nn.Module, indices: tuple[int, ...], number: int, branch: dict
) -> dict:
    branch, blocks = dict(branch), _blocks(branch)
    del branch['num_blocks']
    widen = branch.pop('widen', 1)
    where = f'SideBranchNeck: branches[{number}]'
    if not is_integer(widen) or widen < 1:
        raise ValueError(
            f'{where} has widen={widen!r}; it must be an integer, at least 1'
        )
    if isinstance(backbone, CIFARBackbone):
        network = backbone
    elif type(backbone) is ResNet and _is_usual(backbone):
        network = _ResNetStages(backbone)
    else:
        raise ValueError(
            f'{where} has num_blocks={blocks}, but the stages of this '
            f'{type(backbone).__name__} are not known; describe them as `stages`, or '
            "leave the plain network's neck and head as they are: DHMClassifier then "
            'derives the side branches'
        )
    if 'stages' in branch or 'fork' in branch:
        raise ValueError(
            f'{where} has num_blocks={blocks}, which says its stages and where it forks; '
            'leave out `stages` and `fork`'
        )
    fork = indices[-1] - len(blocks)
    if fork not in indices[:-1]:
        raise ValueError(
            f'{where} has num_blocks={blocks}: {len(blocks)} stages, so that it forks '
            f"after stage {fork}; the backbone's out_indices are {[*indices]}"
        )
    stages: list[dict] = []
    for index, blocks_of_stage in enumerate(blocks, fork + 1):
        wider = widen if index == indices[-1] else 1
        stages += network.side_stage(index, blocks_of_stage, wider)
    stages[0]['in_channels'] = network.channels_of(fork)
    return {**branch, 'stages': stages, 'fork': indices.index(fork)}


def _is_usual(backbone: ResNet) -> bool:
    """Say whether its stages are those of :class:`ResNetStage`."""
    strides, dilations = tuple(backbone.strides), tuple(backbone.dilations)
    return (
        backbone.style == 'pytorch'
        and not backbone.avg_down
        and backbone.conv_cfg is None
        and backbone.expansion == get_expansion(backbone.block)
        and not any(isinstance(module, DropPath) for module in backbone.modules())
        and set(strides[1:]) == {2}
        and set(dilations) == {1}
    )


class _ResNetStages:
    """What :class:`CIFARBackbone` tells of itself, of MMPretrain's ``ResNet``."""

    def __init__(self, backbone: ResNet) -> None:
        self.backbone = backbone

    def channels_of(self, index: int) -> int:
        return self.backbone.base_channels * 2**index * self.backbone.expansion

    def side_stage(self, index: int, num_blocks: int, widen: int) -> list[dict]:
        return [
            dict(
                type='ResNetStage',
                out_channels=self.channels_of(index) * widen,
                num_blocks=num_blocks,
                block=self.backbone.block.__name__,
                with_cp=self.backbone.with_cp,
                norm_cfg=self.backbone.norm_cfg,
                zero_init_residual=self.backbone.zero_init_residual,
            )
        ]
