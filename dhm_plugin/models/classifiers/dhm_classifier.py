"""The classifier that trains with side branches and predicts without them."""

from typing import Any

import torch
from mmengine.logging import print_log
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from ...checked_arguments import checked_arguments
from ..heads import MultiBranchClsHead
from ..necks import SideBranchNeck
from .early_exit import maps_of, not_needed_for, without


@MODELS.register_module()
@checked_arguments
class DHMClassifier(ImageClassifier):
    """Image classifier whose side branches and main branch learn from one another.

    In training every branch that is forked runs and gets its losses. In evaluation, by
    default, the main branch alone runs. It is the plain network: ``backbone.*`` and
    ``head.fc.*`` of a checkpoint load into the stock ``ImageClassifier``.

    Source: Li & Chen, *Dynamic Hierarchical Mimicking Towards Consistent Optimization
    Objectives*, CVPR 2020.

    Args:
        backbone (dict | nn.Module): Any MMPretrain backbone whose ``out_indices`` give
            the maps to fork from, and last the main branch's.
        neck (dict | SideBranchNeck): The side branches, a :class:`SideBranchNeck`.
        head (dict | MultiBranchClsHead): A :class:`MultiBranchClsHead`; its
            ``side_in_channels`` are the neck's where the config does not give them.
        pretrained (str, optional): Checkpoint to start from. Defaults to None.
        train_cfg (dict, optional): Batch augmentations, as in ``ImageClassifier``.
            Defaults to None.
        data_preprocessor (dict | nn.Module, optional): As in ``ImageClassifier``.
            Defaults to None.
        init_cfg (dict, optional): Initialization config. Defaults to None.
        predict_with (str): The branch that predicts: ``'main'``, ``'side0'``, ..., or
            ``'mean'``, the mean of the class probabilities of all branches. Of a side
            branch, only what lies before its end is run, if its map is the output of one
            module of the backbone, as in residual networks; else the whole backbone,
            and the log says so. Defaults to ``'main'``.

    Raises:
        TypeError: If the neck or the head is of another type.
        ValueError: If the branches do not fit the backbone, or the head the neck, or
            there is no branch ``predict_with``.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        neck: dict | nn.Module,
        head: dict | nn.Module,
        pretrained: str | None = None,
        train_cfg: dict | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
        predict_with: str = 'main',
    ) -> None:
        if isinstance(neck, dict):
            neck = MODELS.build(neck)
        _check_type('neck', neck, SideBranchNeck)
        if isinstance(head, dict):
            kind = head['type']
            kind = MODELS.get(kind) if isinstance(kind, str) else kind
            if isinstance(kind, type) and issubclass(kind, MultiBranchClsHead):
                head = {'side_in_channels': neck.side_channels, **head}
            head = MODELS.build(head)
        _check_type('head', head, MultiBranchClsHead)
        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            pretrained=pretrained,
            train_cfg=train_cfg,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self._check_branches()
        self.predict_with = predict_with

    @property
    def predict_with(self) -> str:
        """The branch that predicts."""
        return self._predict_with

    @predict_with.setter
    def predict_with(self, branch: str) -> None:
        choices = (*self.head.branch_names, 'mean')
        if branch not in choices:
            raise ValueError(
                f'DHMClassifier: predict_with={branch!r}; it must be one of {choices}'
            )
        self._predict_with = branch
        if branch.startswith('side'):
            fork = self.neck.forks[choices.index(branch)]
            self._not_run = not_needed_for(self.backbone, fork)
            if not self._not_run:
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
        feats = self.extract_feat(inputs)
        losses = self.head.loss(feats, data_samples)
        # A branch that is not forked gets gradients of 0: DistributedDataParallel waits
        # for all of them, and a fused optimizer needs a momentum of every parameter.
        unforked = [i for i, feat in enumerate(feats) if feat is None]
        for module in (part[i] for i in unforked for part in self.side_modules):
            for parameter in module.parameters():
                losses['loss_ce_main'] = losses['loss_ce_main'] + 0 * parameter.sum()
        return losses

    @property
    def side_modules(self) -> tuple[nn.ModuleList, nn.ModuleList]:
        """The side branches, and their classifiers."""
        return self.neck.branches, self.head.side_fcs

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
        if mode not in ('tensor', 'predict') or self.predict_with == 'main':
            return super().forward(inputs, data_samples, mode)
        branches: dict[str, torch.Tensor] = {}
        if self.predict_with == 'mean':
            branches = self._logits_by_name(inputs)
            logits = torch.stack(tuple(branches.values()))
            logits = logits.softmax(dim=-1).mean(dim=0).log()
        else:
            logits = self._side_logits(inputs)
        if mode == 'tensor':
            return logits
        return self.head.predictions(logits, branches, data_samples)

    def _logits_by_name(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.head.branch_logits(self.neck.forward_branches(self.backbone(inputs)))

    def _side_logits(self, inputs: torch.Tensor) -> torch.Tensor:
        index = self.head.branch_names.index(self.predict_with)
        maps = without(self.backbone, self._not_run)(inputs)
        return self.head.side_fcs[index](self.neck.side_feature(index, maps))

    @property
    def evaluates_side_branches(self) -> bool:
        """Whether a side branch runs in evaluation."""
        return self.predict_with != 'main' or self.neck.eval_branches

    def switch_to_deploy(self) -> None:
        """Drop the side branches in place: what is left is the plain network.

        A backbone that has layers of its own for each map that it gives, as the norm
        layers of MMPretrain's Swin and ConvNeXt, keeps those of the dropped maps.
        """
        self.predict_with = 'main'
        self.neck.switch_to_deploy()
        self.head.switch_to_deploy()
        if hasattr(self.backbone, 'out_indices'):
            self.backbone.out_indices = self.backbone.out_indices[-1:]

    def _check_branches(self) -> None:
        """Let branches that do not fit fail here, before any data is loaded."""
        indices = getattr(self.backbone, 'out_indices', ())
        if list(indices) != sorted(indices):
            raise ValueError(
                f'DHMClassifier: the backbone has out_indices={indices}; they must be in '
                "order, for the last map is the main branch's"
            )
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


def _check_type(role: str, module: Any, expected: type) -> None:
    if not isinstance(module, expected):
        raise TypeError(
            f'DHMClassifier: the {role} is a {type(module).__name__}; it must be a '
            f'{expected.__name__}, or use ImageClassifier for a network without side '
            'branches'
        )
