"""The side branches, forked from the backbone's feature maps."""

from collections.abc import Mapping, Sequence

import torch
from mmengine.model import BaseModule, ModuleList, Sequential
from mmpretrain.models import GlobalAveragePooling
from mmpretrain.registry import MODELS

from ...checked_arguments import checked_arguments, is_integer, unknown_argument
from ..backbones.cifar_backbone import INIT_CFG
from ..forking import check_fork_prob, draw_forks
from ..iteration_seed import IterationSeed

_BRANCH_KEYS = ('stages', 'fork', 'fork_prob', 'num_blocks', 'widen')


@MODELS.register_module()
@checked_arguments
class SideBranchNeck(BaseModule):
    """Side branches on the backbone's feature maps, and global average pooling.

    The last map is the main branch's. In evaluation no side branch runs, unless
    ``eval_branches``.

    Source: Li & Chen, *Dynamic Hierarchical Mimicking Towards Consistent Optimization
    Objectives*, CVPR 2020; ``fork_prob`` is its dynamic forking.

    Args:
        branches (Sequence[dict]): The side branches, shallowest first. Each has

            - stages (Sequence[dict]): Configs of registered stages, run one after the
              other. A stage is any module of the ``MODELS`` registry with the
              attributes ``in_channels`` and ``out_channels``, such as
              :class:`ResNetStage`. Where a stage's ``in_channels`` are not given, they
              are those that the stage before it ends with.
            - num_blocks, widen: In the place of ``stages``, a row of the paper's table,
              as :func:`with_stages` takes them; :class:`DHMClassifier` completes it.
            - fork (int, optional): Which of the backbone's feature maps it forks from,
              counted from 0 in the order of the backbone's ``out_indices``; never the
              last one. By default branch i forks from map i.
            - fork_prob (float, optional): Probability that it is forked in a training
              iteration; else it does not run, nobody mimics it, and its gradients are 0:
              momentum and weight decay of the optimizer go on. All processes make the
              same choice, from seed and iteration. Defaults to 1.0.

        eval_branches (bool): Whether the side branches run in evaluation too, all of
            them. Defaults to False.
        init_cfg (dict | list[dict], optional): Initialization config. Defaults to
            Kaiming for convolutions and 1 for norm layers, as in the backbone.

    Raises:
        ValueError: If there is no branch, a branch has no stage, the channels of
            consecutive stages differ, the forks are not shallowest first, or
            ``fork_prob`` is no probability or 0.
        TypeError: If a stage does not tell its channels.

    Example:
        >>> import torch
        >>> from dhm_plugin import SideBranchNeck
        >>> neck = SideBranchNeck([dict(stages=[
        ...     dict(type='ResNetStage', in_channels=8, out_channels=16, num_blocks=1)])])
        >>> maps = torch.rand(2, 8, 4, 4), torch.rand(2, 32, 2, 2)
        >>> [tuple(x.shape) for x in neck(maps)]
        [(2, 16), (2, 32)]
        >>> [tuple(x.shape) for x in neck.eval()(maps)]
        [(2, 32)]
    """

    def __init__(
        self,
        branches: Sequence[dict],
        eval_branches: bool = False,
        init_cfg: dict | Sequence[dict] | None = INIT_CFG,
    ) -> None:
        super().__init__(list(init_cfg) if isinstance(init_cfg, tuple) else init_cfg)
        if not branches or not isinstance(branches, (list, tuple)):
            raise ValueError(
                f'SideBranchNeck: branches={branches!r}; it must be a list of one '
                'or more side branches, a dict each; the neck of the plain network is '
                "dict(type='GlobalAveragePooling')"
            )
        for i, branch in enumerate(branches):
            _check_branch(i, branch)
        self.forks = [branch.get('fork', i) for i, branch in enumerate(branches)]
        self.fork_probs = [branch.get('fork_prob', 1.0) for branch in branches]
        if self.forks != sorted(self.forks) or self.forks[0] < 0:
            raise ValueError(
                f'SideBranchNeck: the branches fork from the maps {self.forks}; they '
                'must be in order, from the shallowest map (0) on'
            )
        self.branches = ModuleList(
            _build_branch(i, branch) for i, branch in enumerate(branches)
        )
        self.eval_branches = eval_branches
        self.pool = GlobalAveragePooling()
        self._seed = IterationSeed()

    @property
    def side_channels(self) -> tuple[int, ...]:
        """Channels that each side branch ends with, shallowest first."""
        return tuple(branch[-1].out_channels for branch in self.branches)

    def forward(self, maps: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor | None, ...]:
        """Pool the main branch and, in training, the side branches that are forked.

        Args:
            maps (tuple[torch.Tensor]): The backbone's feature maps (N, C, H, W),
                shallow to deep; the last one is the main branch's.

        Returns:
            tuple[torch.Tensor | None]: Features (N, C_b), shallowest side branch first,
            main branch last, None for a branch that is not forked; in evaluation, unless
            ``eval_branches``, the main branch only.
        """
        if self.training:
            # Without a draw, the neck is one graph for torch.compile.
            always = all(prob == 1 for prob in self.fork_probs)
            return self.forward_branches(maps, None if always else self.draw_forks())
        return self.forward_branches(maps) if self.eval_branches else self.pool(maps[-1:])

    def forward_branches(
        self, maps: tuple[torch.Tensor, ...], forked: Sequence[bool] | None = None
    ) -> tuple[torch.Tensor | None, ...]:
        """Run side branches, whatever the mode.

        Args:
            maps (tuple[torch.Tensor]): As :meth:`forward` takes them.
            forked (Sequence[bool], optional): Whether each side branch runs. Defaults to
                None: all do.

        Returns:
            tuple[torch.Tensor | None]: As of :meth:`forward`; of the main branch alone
            after :meth:`switch_to_deploy`.
        """
        sides = (
            self.side_feature(i, maps) if forked is None or forked[i] else None
            for i in range(len(self.branches))
        )
        return (*sides, *self.pool(maps[-1:]))

    def side_feature(
        self, index: int, maps: Sequence[torch.Tensor] | Mapping[int, torch.Tensor]
    ) -> torch.Tensor:
        """Run one side branch, and pool it.

        Args:
            index (int): Which one, from the shallowest.
            maps (Sequence[torch.Tensor] | Mapping[int, torch.Tensor]): As
                :meth:`forward` takes them, or the one that it forks from by its number.

        Returns:
            torch.Tensor: Features (N, C_b).
        """
        (feat,) = self.pool((self.branches[index](maps[self.forks[index]]),))
        return feat

    def draw_forks(self) -> list[bool]:
        """Decide which side branches are forked in this training iteration.

        Returns:
            list[bool]: One a side branch, by its ``fork_prob``; of the same seed and
            iteration the same on all processes.
        """
        return draw_forks(self.fork_probs, self._seed)

    def switch_to_deploy(self) -> None:
        """Drop the side branches in place."""
        self.branches = ModuleList()
        self.forks = []
        self.fork_probs = []

    def check_maps(self, maps: tuple[torch.Tensor, ...]) -> None:
        """Check that every branch fits the map that it forks from.

        Args:
            maps (tuple[torch.Tensor]): As :meth:`forward` takes them.

        Raises:
            ValueError: If they are no feature maps, or a branch forks from a map that
                the backbone does not give, or that has other channels.
        """
        shapes = [tuple(getattr(x, 'shape', ())) for x in maps]
        if any(len(shape) != 4 for shape in shapes):
            raise ValueError(
                'SideBranchNeck: the branches need feature maps (N, C, H, W), but the '
                f'backbone gives {shapes}; leave neck and head as they are in the plain '
                "config, and say model = dict(type='DHMClassifier', "
                "mimicking_loss=dict(type='MimickingLoss'))"
            )
        for i, (fork, branch) in enumerate(zip(self.forks, self.branches)):
            if fork >= len(maps) - 1:
                raise ValueError(
                    f'SideBranchNeck: branches[{i}] forks from feature map {fork}, but '
                    f'the backbone gives {len(maps)} map(s), of which the last '
                    "is the main branch's; add the stage to fork from to the backbone's "
                    'out_indices'
                )
            channels, expected = maps[fork].size(1), branch[0].in_channels
            if channels != expected:
                raise ValueError(
                    f'SideBranchNeck: branches[{i}].stages[0] has '
                    f'in_channels={expected}, but feature map {fork}, which it forks '
                    f'from, has {channels} channels; set in_channels={channels}'
                )


def _check_branch(index: int, branch: dict) -> None:
    """Check the form of a branch's config; its stages check their own."""
    where = f'SideBranchNeck: branches[{index}]'
    for key in branch if isinstance(branch, dict) else ():
        if key not in _BRANCH_KEYS:
            raise ValueError(f'{where}: {unknown_argument(key, _BRANCH_KEYS)}')
        if key in ('num_blocks', 'widen') and 'stages' in branch:
            raise ValueError(
                f'{where} has `stages` and {key}, which says them too; leave one out'
            )
    if (
        not isinstance(branch, dict)
        or not isinstance(branch.get('stages'), (list, tuple))
        or not branch['stages']
        or not is_integer(branch.get('fork', index))
    ):
        raise ValueError(
            f'{where} must be a dict with `stages`, a list of at least one stage config, '
            'or within a DHMClassifier with num_blocks of a backbone whose stages it '
            'knows, and may have `fork`, the number of a feature map, and `fork_prob`; '
            f'it is {branch}'
        )
    check_fork_prob(where, branch)


def _build_branch(index: int, branch: dict) -> Sequential:
    where = f'SideBranchNeck: branches[{index}]'
    stages, channels = Sequential(), None
    for i, config in enumerate(branch['stages']):
        try:
            # Where nothing is said, it goes on with what the one before it gives.
            given = {} if channels is None else {'in_channels': channels}
            stage = MODELS.build({**given, **config})
        except Exception as error:
            raise ValueError(f'{where}.stages[{i}]: {error}') from error
        if not hasattr(stage, 'in_channels') or not hasattr(stage, 'out_channels'):
            raise TypeError(
                f'{where}.stages[{i}], a {type(stage).__name__}, lacks the attributes '
                '`in_channels` and `out_channels` that a stage must have'
            )
        if channels not in (None, stage.in_channels):
            raise ValueError(
                f'{where}.stages[{i}] has in_channels={stage.in_channels}, but the '
                f'stage before it gives {channels} channels; set in_channels={channels}'
            )
        channels = stage.out_channels
        stages.append(stage)
    return stages
