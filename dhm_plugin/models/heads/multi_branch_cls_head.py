"""One linear classifier a branch, and the losses of all."""

from collections.abc import Sequence

import torch
from mmengine.model import ModuleList
from mmpretrain.models import LinearClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from ...checked_arguments import checked_arguments
from ..losses import accuracies, check_losses, objective, target_of


@MODELS.register_module()
@checked_arguments
class MultiBranchClsHead(LinearClsHead):
    r"""A linear classifier and the losses of every branch.

    With the classification losses alone, the model is deeply supervised learning (DSL);
    with the mimicking loss it is Dynamic Hierarchical Mimicking (DHM):

    .. math::
        L = \sum_i CE(z_i, y) + \alpha T^2 \sum_{i \ne j} KL(p_j \,\|\, p_i), \quad
        p_i = softmax(z_i / T)

    where a teacher :math:`p_j` is detached. The main branch's classifier keeps the stock
    name ``fc``.

    Args:
        num_classes (int): Number of classes.
        in_channels (int): Channels of the main branch's features.
        side_in_channels (Sequence[int]): Channels of each side branch's features,
            shallowest first. :class:`DHMClassifier` fills it in from the neck.
        loss (dict | nn.Module, optional): MMPretrain classification loss that every
            branch gets. Defaults to None, which means ``CrossEntropyLoss``.
        mimicking_loss (dict | nn.Module, optional): Config of
            :class:`MimickingLoss`. Defaults to None: no branch mimics another.
        topk (int | Sequence[int]): Of the accuracies that ``cal_acc`` reports. Defaults
            to ``(1, )``.
        cal_acc (bool): Whether to report the accuracy of every branch on the training
            batch; pointless with Mixup and CutMix. Defaults to False.
        init_cfg (dict, optional): Initialization config. Defaults to None, which means
            :class:`LinearClsHead`'s.

    Raises:
        ValueError: If ``num_classes`` is not positive, ``side_in_channels`` is empty,
            the mimicking loss leaves no pair of branches, or it meets a loss of
            independent classes (sigmoid), as of images with several labels.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        side_in_channels: Sequence[int],
        loss: dict | nn.Module | None = None,
        mimicking_loss: dict | nn.Module | None = None,
        topk: int | Sequence[int] = (1,),
        cal_acc: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            num_classes,
            in_channels,
            init_cfg=init_cfg or dict(type='Normal', layer='Linear', std=0.01),
            loss=loss or dict(type='CrossEntropyLoss', loss_weight=1.0),
            topk=(topk,) if isinstance(topk, int) else tuple(topk),
            cal_acc=cal_acc,
        )
        if not side_in_channels:
            raise ValueError(
                'MultiBranchClsHead: side_in_channels is empty; give the channels of '
                'each side branch, or use the head of the plain network, '
                "dict(type='LinearClsHead')"
            )
        self.side_fcs = ModuleList(
            nn.Linear(channels, num_classes) for channels in side_in_channels
        )
        if isinstance(mimicking_loss, dict):
            mimicking_loss = MODELS.build(mimicking_loss)
        self.mimicking_loss = mimicking_loss
        check_losses(self.loss_module, mimicking_loss, self.branch_names)

    @property
    def branch_names(self) -> tuple[str, ...]:
        """``('side0', 'side1', ..., 'main')``."""
        return (*(f'side{i}' for i in range(len(self.side_fcs))), 'main')

    def branch_logits(
        self, feats: Sequence[torch.Tensor | None]
    ) -> dict[str, torch.Tensor]:
        """Classify with every branch that has features.

        Args:
            feats (Sequence[torch.Tensor | None]): Features (N, C_b) of all branches,
                shallowest side branch first, main branch last, None for a side branch
                that is not forked; or of the main branch alone.

        Returns:
            dict[str, torch.Tensor]: Logits (N, num_classes) by the branch's name, in the
            same order.
        """
        fcs = dict(zip(self.branch_names, (*self.side_fcs, self.fc)))
        names = self.branch_names[-len(feats) :]
        return {
            name: fcs[name](feat) for name, feat in zip(names, feats) if feat is not None
        }

    def objective(
        self, logits: dict[str, torch.Tensor], target: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Compute the terms of the objective, as :func:`objective` does.

        Args:
            logits (dict[str, torch.Tensor]): Of :meth:`branch_logits`.
            target (torch.Tensor): Labels (N,), or scores (N, num_classes) of mixed
                images.

        Returns:
            dict[str, torch.Tensor]: ``loss_ce_main``, ... and, with a mimicking loss,
            ``loss_mimic_main``, ...: scalars.
        """
        return objective(logits, target, self.loss_module, self.mimicking_loss)

    def loss(
        self,
        feats: Sequence[torch.Tensor | None],
        data_samples: list[DataSample],
    ) -> dict[str, torch.Tensor]:
        """Compute the losses of every branch.

        Args:
            feats (Sequence[torch.Tensor | None]): As :meth:`branch_logits` takes them.
            data_samples (list[DataSample]): With ``gt_label``, or ``gt_score``
                (classes,) where a batch augmentation has mixed the images.

        Returns:
            dict[str, torch.Tensor]: Of :meth:`objective`; with ``cal_acc`` also
            ``accuracy_top-1_main``, ... All are scalars.

        Raises:
            ValueError: If ``cal_acc`` meets labels that a batch augmentation has mixed.
        """
        target = target_of(data_samples)
        logits = self.branch_logits(feats)
        losses = self.objective(logits, target)
        if self.cal_acc:
            losses |= accuracies(logits, target, self.topk)
        return losses

    def forward(self, feats: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Classify with the main branch: logits (N, num_classes)."""
        return self.fc(feats[-1])

    def check_side_channels(self, channels: Sequence[int]) -> None:
        """Check that every side branch has a classifier, and that it fits.

        Args:
            channels (Sequence[int]): Channels that each side branch ends with.

        Raises:
            ValueError: If their number or one of them does not fit.
        """
        widths = [fc.in_features for fc in self.side_fcs]
        if widths != [*channels]:
            raise ValueError(
                f'MultiBranchClsHead: side_in_channels={widths}, but the side branches '
                f'end with {[*channels]} channels; leave side_in_channels out, '
                'DHMClassifier fills it in'
            )

    def check_main_channels(self, channels: int) -> None:
        """Check that the main branch's classifier fits.

        Args:
            channels (int): Channels that the main branch ends with.

        Raises:
            ValueError: If it does not.
        """
        if self.fc.in_features != channels:
            raise ValueError(
                f'MultiBranchClsHead: in_channels={self.fc.in_features}, but the main '
                f'branch ends with {channels} channels; set in_channels={channels}'
            )

    def switch_to_deploy(self) -> None:
        """Drop the side branches' classifiers and the mimicking loss in place."""
        self.side_fcs = ModuleList()
        # Deleted first: a registered child that is None breaks MMEngine's FLOPs table.
        del self.mimicking_loss
        self.mimicking_loss = None
