"""One linear classifier a branch, and the losses of all."""

from collections.abc import Sequence

import torch
from mmengine.model import ModuleList
from mmpretrain.evaluation.metrics import Accuracy
from mmpretrain.models import FocalLoss, LinearClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from ...checked_arguments import checked_arguments
from ..losses import MimickingLoss


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
        if mimicking_loss is not None:
            self._check_mimicking_loss()

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
        """Compute the terms of the objective L, whose sum is minimized.

        MMEngine adds them up. What lies in here is tensors alone.

        Args:
            logits (dict[str, torch.Tensor]): Of :meth:`branch_logits`.
            target (torch.Tensor): Labels (N,), or scores (N, num_classes) of mixed
                images.

        Returns:
            dict[str, torch.Tensor]: ``loss_ce_main``, ... and, with a mimicking loss,
            ``loss_mimic_main``, ...: scalars.
        """
        losses = {
            f'loss_ce_{name}': self.loss_module(z, target, avg_factor=len(z))
            for name, z in logits.items()
        }
        if self.mimicking_loss is not None and len(logits) > 1:
            mimicking = self.mimicking_loss(list(logits.values()))
            losses |= {f'loss_mimic_{name}': m for name, m in zip(logits, mimicking)}
        return losses

    def loss(
        self,
        feats: Sequence[torch.Tensor | None],
        data_samples: list[DataSample],
    ) -> dict[str, torch.Tensor]:
        """Compute the losses of every branch.

        Args:
            feats (Sequence[torch.Tensor | None]): As :meth:`branch_logits` takes them.
            data_samples (list[DataSample]): With ``gt_label``, or ``gt_score`` (N,
                classes) where a batch augmentation has mixed the images.

        Returns:
            dict[str, torch.Tensor]: Of :meth:`objective`; with ``cal_acc`` also
            ``accuracy_top-1_main``, ... All are scalars.

        Raises:
            ValueError: If ``cal_acc`` meets labels that a batch augmentation has mixed.
        """
        target = self.target(data_samples)
        logits = self.branch_logits(feats)
        losses = self.objective(logits, target)
        if self.cal_acc:
            if target.ndim != 1:
                raise ValueError(
                    'MultiBranchClsHead: cal_acc=True, but a batch augmentation mixes '
                    'the labels; set cal_acc=False'
                )
            for name, z in logits.items():
                # Without a threshold: by default a negative logit counts as wrong.
                tops = Accuracy.calculate(z, target, topk=self.topk, thrs=(None,))
                for k, (accuracy,) in zip(self.topk, tops):
                    losses[f'accuracy_top-{k}_{name}'] = accuracy.squeeze()
        return losses

    def target(self, data_samples: list[DataSample]) -> torch.Tensor:
        """Give what the branches are to predict.

        Args:
            data_samples (list[DataSample]): As :meth:`loss` takes them.

        Returns:
            torch.Tensor: Labels (N,), int64, or scores (N, num_classes). They are not
            checked here: :class:`LabelCheckHook` does it, before the training.
        """
        if 'gt_score' in data_samples[0]:
            return torch.stack([sample.gt_score for sample in data_samples])
        # One sample may hold the labels of a whole batch: InMemoryDataset's does.
        return torch.cat([sample.gt_label for sample in data_samples])

    def forward(self, feats: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Classify with the main branch: logits (N, num_classes)."""
        return self.fc(feats[-1])

    def predict(
        self,
        feats: tuple[torch.Tensor, ...],
        data_samples: list[DataSample] | None = None,
    ) -> list[DataSample]:
        """Predict with the main branch.

        Args:
            feats (tuple[torch.Tensor]): As :meth:`branch_logits` takes them.
            data_samples (list[DataSample], optional): To add the predictions to.
                Defaults to None: new ones.

        Returns:
            list[DataSample]: As :meth:`predictions` gives them.
        """
        logits = self.branch_logits(feats)
        return self.predictions(logits['main'], logits, data_samples)

    def predictions(
        self,
        predicting: torch.Tensor,
        logits: dict[str, torch.Tensor],
        data_samples: list[DataSample] | None,
    ) -> list[DataSample]:
        """Make predictions of logits.

        Args:
            predicting (torch.Tensor): The logits (N, num_classes) that decide.
            logits (dict[str, torch.Tensor]): Of the branches, by name.
            data_samples (list[DataSample], optional): To add the predictions to. None
                makes new ones.

        Returns:
            list[DataSample]: With ``pred_score`` and ``pred_label``; of several branches
            also with ``branch_logits`` (K, num_classes) and ``branch_names``.
        """
        samples = self._get_predictions(predicting, data_samples)
        if len(logits) > 1:
            stacked = torch.stack(tuple(logits.values()), dim=1).detach()
            for sample, of_branches in zip(samples, stacked):
                sample.set_field(of_branches, 'branch_logits')
                sample.set_field(tuple(logits), 'branch_names')
        return samples

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

    def _check_mimicking_loss(self) -> None:
        """Refuse it where it has no pair of branches, or beside a sigmoid."""
        loss = self.mimicking_loss
        if isinstance(loss, MimickingLoss) and not [*loss.pairs(len(self.branch_names))]:
            raise ValueError(
                f'MultiBranchClsHead: {loss} leaves no pair of the '
                f"branches {self.branch_names}; set its students or teachers to 'all'"
            )
        if isinstance(self.loss_module, FocalLoss) or any(
            getattr(module, 'use_sigmoid', False) for module in self.loss_module.modules()
        ):
            raise ValueError(
                f'MultiBranchClsHead: loss={type(self.loss_module).__name__} takes each '
                'class on its own (sigmoid), as for images with several labels, but the '
                'mimicking loss compares probabilities that sum to 1 (softmax); take a '
                'loss with a softmax, such as CrossEntropyLoss, or leave mimicking_loss '
                'out'
            )
