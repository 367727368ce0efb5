"""The classifier that trains with side branches and predicts without them."""

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from ...checked_arguments import checked_arguments
from ..losses import accuracies, check_losses, objective, target_of
from ..necks import SideBranchNeck
from ..side_branches import SideBranches, Tape
from .early_exit import maps_of, module_of
from .parts import build_described, check_plain, is_of_type
from .predictions import predictions


@MODELS.register_module()
@checked_arguments
class DHMClassifier(ImageClassifier):
    """Image classifier whose side branches and main branch learn from one another.

    In training every branch that is forked runs and gets its losses. In evaluation, by
    default, the main branch alone runs. It is the plain network: backbone, neck and head
    of a checkpoint load into the stock ``ImageClassifier``.

    Over a plain config it is enough to name it and the mimicking loss: a side branch is
    then the rest of the network from its fork on, newly initialised, with fewer blocks;
    layer-wise learning rate decay gives all of it the head's learning rate.
    Or a :class:`SideBranchNeck` describes the side branches, as those of the paper are.

    Source: Li & Chen, *Dynamic Hierarchical Mimicking Towards Consistent Optimization
    Objectives*, CVPR 2020.

    Args:
        backbone (dict | nn.Module): An MMPretrain backbone. With a
            :class:`SideBranchNeck`, its ``out_indices`` give the maps to fork from, and
            last the main branch's.
        neck (dict | list | nn.Module, optional): The plain network's, or a
            :class:`SideBranchNeck`. Defaults to None.
        head (dict | nn.Module): The plain network's, or beside a :class:`SideBranchNeck`
            a :class:`MultiBranchClsHead`, whose ``side_in_channels`` are the neck's
            where the config does not give them.
        pretrained (str, optional): Checkpoint to start from. Defaults to None.
        train_cfg (dict, optional): Batch augmentations, as in ``ImageClassifier``.
            Defaults to None.
        data_preprocessor (dict | nn.Module, optional): As in ``ImageClassifier``.
            Defaults to None.
        init_cfg (dict, optional): Initialization config. Defaults to None.
        predict_with (str): The branch that predicts: ``'main'``, ``'side0'``, ..., or
            ``'ensemble'``, the mean of the class probabilities of all branches. Of a side
            branch, only what lies before its end is run; with a :class:`SideBranchNeck`
            only if its map is the output of one module of the backbone, as in residual
            networks, else the whole backbone, and the log says so. Forward hooks of
            modules that are not run to their end do not run. Defaults to ``'main'``.
        side_branches (Sequence[dict], optional): The side branches of a plain config, as
            :class:`SideBranches` takes them. Defaults to None: they are derived.
        mimicking_loss (dict | nn.Module, optional): Config of the
            :class:`MimickingLoss` of a plain config; beside a :class:`SideBranchNeck` the
            head has it. Defaults to None: no branch mimics another (DSL).
        eval_branches (bool): Whether the side branches of a plain config run in
            evaluation too, all of them. Defaults to False.

    Raises:
        TypeError: If the neck or the head is of a type that cannot be used.
        ValueError: If the branches do not fit the backbone, or the head the neck, or
            there is no branch ``predict_with``.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        neck: dict | Sequence[dict] | nn.Module | None = None,
        head: dict | nn.Module | None = None,
        pretrained: str | None = None,
        train_cfg: dict | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
        predict_with: str = 'main',
        side_branches: Sequence[dict] | None = None,
        mimicking_loss: dict | nn.Module | None = None,
        eval_branches: bool = False,
    ) -> None:
        described = is_of_type(neck, SideBranchNeck)
        configs = copy.deepcopy((backbone, neck, head)) if not described else None
        if described:
            backbone, neck, head = build_described(backbone, neck, head)
        else:
            check_plain(backbone, neck, head)
        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            pretrained=pretrained,
            train_cfg=train_cfg,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self.side_branches: SideBranches | None = None
        self.eval_branches = eval_branches
        self._tape = Tape()
        if described:
            for name, value in (
                ('side_branches', side_branches),
                ('mimicking_loss', mimicking_loss),
                ('eval_branches', eval_branches),
            ):
                if value:
                    raise ValueError(
                        f'DHMClassifier: {name} is given, but the neck is a '
                        'SideBranchNeck; say it in the neck (branches, eval_branches) '
                        'or the head (mimicking_loss)'
                    )
            self._check_branches()
        else:
            self.side_branches = SideBranches(self, *configs, side_branches)
            if isinstance(mimicking_loss, dict):
                mimicking_loss = MODELS.build(mimicking_loss)
            self.mimicking_loss = mimicking_loss
            check_losses(self.head.loss_module, mimicking_loss, self.branch_names)
        self.predict_with = predict_with

    @property
    def branches_module(self) -> SideBranches | SideBranchNeck:
        """The module that holds the side branches: ``fork_probs`` and ``draw_forks``."""
        return self.neck if self.side_branches is None else self.side_branches

    @property
    def objective_module(self) -> nn.Module:
        """What has ``objective`` and ``mimicking_loss``."""
        return self.head if self.side_branches is None else self

    @property
    def branch_names(self) -> tuple[str, ...]:
        """``('side0', 'side1', ..., 'main')``."""
        return (*(f'side{i}' for i in range(len(self.side_modules[0]))), 'main')

    @property
    def predict_with(self) -> str:
        """The branch that predicts."""
        return self._predict_with

    @predict_with.setter
    def predict_with(self, branch: str) -> None:
        choices = (*self.branch_names, 'ensemble')
        if branch not in choices:
            raise ValueError(
                f'DHMClassifier: predict_with={branch!r}; it must be one of {choices}'
            )
        self._predict_with = branch
        self._tape.detach()
        if branch.startswith('side') and self.side_branches is None:
            fork = self.neck.forks[choices.index(branch)]
            self._exit = module_of(self.backbone, fork)
            if self._exit is not None:
                self._tape.attach(self.backbone, [self._exit])
            else:
                print_log(
                    f'predict_with={branch!r} saves no time in the backbone: map {fork} '
                    f'of {type(self.backbone).__name__} cannot be had without the rest',
                    logger='current',
                )

    def loss(
        self, inputs: torch.Tensor, data_samples: list[DataSample]
    ) -> dict[str, torch.Tensor]:
        """Compute the losses of the branches that are forked in this iteration.

        Args:
            inputs (torch.Tensor): Preprocessed images (N, C, H, W).
            data_samples (list[DataSample]): Their labels.

        Returns:
            dict[str, torch.Tensor]: As :meth:`MultiBranchClsHead.loss` gives them.
        """
        if self.side_branches is None:
            feats = self.extract_feat(inputs)
            losses = self.head.loss(feats, data_samples)
            forked = [feat is not None for feat in feats[:-1]]
        else:
            forked = self.side_branches.draw_forks()
            logits = self._logits_by_name(inputs, forked)
            target = target_of(data_samples)
            losses = self.objective(logits, target)
            if self.head.cal_acc:
                losses |= accuracies(logits, target, self.head.topk)
        # A branch that is not forked gets gradients of 0: DistributedDataParallel waits
        # for all of them, and a fused optimizer needs a momentum of every parameter.
        unforked = [i for i, runs in enumerate(forked) if not runs]
        for module in (part[i] for i in unforked for part in self.side_modules):
            for parameter in module.parameters():
                losses['loss_ce_main'] = losses['loss_ce_main'] + 0 * parameter.sum()
        return losses

    def objective(
        self, logits: dict[str, torch.Tensor], target: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Compute the terms of the objective of a plain config.

        Args:
            logits (dict[str, torch.Tensor]): Logits (N, classes) by the branch's name.
            target (torch.Tensor): Labels (N,), or scores (N, classes) of mixed images.

        Returns:
            dict[str, torch.Tensor]: As :func:`objective` gives them.
        """
        return objective(logits, target, self.head.loss_module, self.mimicking_loss)

    @property
    def side_modules(self) -> tuple[nn.ModuleList, ...]:
        """The side branches, and beside a :class:`SideBranchNeck` their classifiers."""
        if self.side_branches is None:
            return self.neck.branches, self.head.side_fcs
        return (self.side_branches,)

    def branch_logits(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run every branch, whatever the mode.

        Args:
            inputs (torch.Tensor): Preprocessed images (N, C, H, W).

        Returns:
            tuple[torch.Tensor]: Logits (N, classes) a branch, shallowest side branch
            first, main branch last; the main branch alone after
            :meth:`switch_to_deploy`.
        """
        return tuple(self._logits_by_name(inputs).values())

    def forward(
        self,
        inputs: torch.Tensor,
        data_samples: list[DataSample] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Do as ``ImageClassifier`` does, but predict with ``predict_with``.

        Args:
            inputs (torch.Tensor): Preprocessed images (N, C, H, W).
            data_samples (list[DataSample], optional): Their labels. Defaults to None.
            mode (str): ``'tensor'``, ``'loss'`` or ``'predict'``. Defaults to
                ``'tensor'``.

        Returns:
            torch.Tensor | dict | list[DataSample]: As ``ImageClassifier`` does.
        """
        if mode != 'tensor':
            return super().forward(inputs, data_samples, mode)
        if self.training and self.side_branches is not None:
            # So that PreciseBNHook finds the statistics of all branches.
            return self._predicted(self._logits_by_name(inputs))
        if self.predict_with == 'main':
            return super().forward(inputs, data_samples, mode)
        return self._predicted(self._branches_of(inputs))

    def predict(
        self, inputs: torch.Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Predict with ``predict_with``.

        Args:
            inputs (torch.Tensor): Preprocessed images (N, C, H, W).
            data_samples (list[DataSample], optional): Their labels. Defaults to None.

        Returns:
            list[DataSample]: As ``ImageClassifier`` gives them; where a side branch runs,
            with the logits of the branches.
        """
        if not self.evaluates_side_branches:
            return super().predict(inputs, data_samples)
        branches = self._branches_of(inputs)
        return predictions(self._predicted(branches), branches, data_samples)

    def _branches_of(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Run what ``predict_with`` and ``eval_branches`` need."""
        if self.predict_with.startswith('side'):
            return {self.predict_with: self._side_logits(inputs)}
        return self._logits_by_name(inputs)

    def _predicted(self, branches: dict[str, torch.Tensor]) -> torch.Tensor:
        if self.predict_with != 'ensemble':
            return branches[self.predict_with]
        log_probs = torch.stack(tuple(branches.values())).log_softmax(dim=-1)
        return log_probs.logsumexp(dim=0) - math.log(len(branches))

    def _logits_by_name(
        self, inputs: torch.Tensor, forked: Sequence[bool] | None = None
    ) -> dict[str, torch.Tensor]:
        if self.side_branches is None:
            maps = self.backbone(inputs)
            return self.head.branch_logits(self.neck.forward_branches(maps))
        with self.side_branches.tape.open():
            main = self.head(self.extract_feat(inputs))
            logits = {
                name: branch(inputs)
                for i, (name, branch) in enumerate(
                    zip(self.branch_names, self.side_branches)
                )
                if forked is None or forked[i]
            }
        return {**logits, 'main': main}

    def _side_logits(self, inputs: torch.Tensor) -> torch.Tensor:
        index = self.branch_names.index(self.predict_with)
        if self.side_branches is not None:
            return self.side_branches.early_exit(index, self.backbone, inputs)
        with self._tape.open():
            maps, ended = self._tape.record_until(self._exit, self.backbone, inputs)
        if ended:
            maps = {self.neck.forks[index]: maps}
        return self.head.side_fcs[index](self.neck.side_feature(index, maps))

    @property
    def evaluates_side_branches(self) -> bool:
        """Whether a side branch runs in evaluation."""
        of_neck = self.side_branches is None and self.neck.eval_branches
        return self.predict_with != 'main' or of_neck or self.eval_branches

    def switch_to_deploy(self) -> None:
        """Drop the side branches in place: what is left is the plain network.

        A backbone that has layers of its own for each map that it gives, as the norm
        layers of MMPretrain's Swin and ConvNeXt, keeps those of the dropped maps.
        """
        self.predict_with = 'main'
        if self.side_branches is not None:
            self.side_branches.switch_to_deploy()
            self.eval_branches = False
            # Deleted first: a registered child that is None breaks MMEngine's table.
            del self.mimicking_loss
            self.mimicking_loss = None
            return
        self.neck.switch_to_deploy()
        self.head.switch_to_deploy()
        if hasattr(self.backbone, 'out_indices'):
            self.backbone.out_indices = self.backbone.out_indices[-1:]

    def _check_branches(self) -> None:
        """Let branches that do not fit fail here, before any data is loaded."""
        self.head.check_side_channels(self.neck.side_channels)
        try:
            maps = maps_of(self.backbone)
        except Exception as error:
            print_log(
                'Whether the side branches fit the backbone cannot be checked: '
                f'on a 224x224 image {type(self.backbone).__name__} fails ({error})',
                logger='current',
            )
            return
        self.neck.check_maps(maps)
        self.head.check_main_channels(maps[-1].size(1))
