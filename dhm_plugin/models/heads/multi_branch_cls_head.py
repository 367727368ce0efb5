"""One linear classifier a branch, and the losses of all."""

from collections.abc import Sequence

import torch
from mmengine.model import ModuleList
from mmpretrain.evaluation.metrics import Accuracy
from mmpretrain.models import CrossEntropyLoss, LinearClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn


@MODELS.register_module()
class MultiBranchClsHead(LinearClsHead):
    r"""A linear classifier and the losses of every branch.

    With the classification losses alone, the model is deeply supervised learning (DSL);
    with the mimicking loss it is Dynamic Hierarchical Mimicking (DHM):

    .. math::
        L = \sum_i CE(z_i, y) + \alpha T^2 \sum_{i \ne j} KL(p_j \,\|\, p_i)

    The main branch's classifier keeps the stock name ``fc``; it alone predicts.

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
        ValueError: If ``num_classes`` is not positive, or ``side_in_channels`` is
            empty.
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

    @property
    def branch_names(self) -> tuple[str, ...]:
        """``('side0', 'side1', ..., 'main')``."""
        return (*(f'side{i}' for i in range(len(self.side_fcs))), 'main')

    def branch_logits(self, feats: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """Classify with every branch that has features.

        Args:
            feats (tuple[torch.Tensor]): Features (N, C_b) of all branches, shallowest
                side branch first, main branch last; or of the main branch alone.

        Returns:
            tuple[torch.Tensor]: Logits (N, num_classes), in the same order.

        Raises:
            ValueError: If the number of branches or their channels do not fit.
        """
        self.check_channels([feat.size(1) for feat in feats])
        fcs = (*self.side_fcs, self.fc)[-len(feats) :]
        return tuple(fc(feat) for fc, feat in zip(fcs, feats))

    def check_channels(self, channels: Sequence[int]) -> None:
        """Check that every classifier fits its branch.

        Args:
            channels (Sequence[int]): Channels of the features of all branches, main
                branch last; or of the main branch alone.

        Raises:
            ValueError: If the number of branches or their channels do not fit.
        """
        fcs = (*self.side_fcs, self.fc)
        if len(channels) not in (1, len(fcs)):
            raise ValueError(
                f'MultiBranchClsHead has classifiers for {len(fcs)} branches, main '
                f'branch included, but the neck gives {len(channels)}; '
                'side_in_channels must have an entry for every side branch'
            )
        names = self.branch_names[-len(channels) :]
        for name, fc, width in zip(names, fcs[-len(channels) :], channels):
            if fc.in_features != width:
                key = 'in_channels' if name == 'main' else 'side_in_channels'
                raise ValueError(
                    f'MultiBranchClsHead: the {name} branch ends with {width} channels, '
                    f'but its classifier takes {fc.in_features}; {key} must be {width} '
                    'there'
                )

    def forward(self, feats: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Classify with the main branch: logits (N, num_classes)."""
        return self.branch_logits(feats[-1:])[0]

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
            list[DataSample]: With ``pred_score`` and ``pred_label``; if the side branches
            have features, also with ``branch_scores``, the class probabilities (K,
            num_classes) of all branches, and ``branch_names``.
        """
        logits = self.branch_logits(feats)
        samples = self._get_predictions(logits[-1], data_samples)
        return self.with_branch_scores(samples, logits)

    def with_branch_scores(
        self, samples: list[DataSample], logits: Sequence[torch.Tensor]
    ) -> list[DataSample]:
        """Add the class probabilities of all branches to predictions.

        Args:
            samples (list[DataSample]): The predictions.
            logits (Sequence[torch.Tensor]): Of :meth:`branch_logits`. Nothing is added if
                they are not those of all branches.

        Returns:
            list[DataSample]: The predictions.
        """
        if len(logits) > 1:
            scores = torch.stack(tuple(logits), dim=1).softmax(dim=-1)
            for sample, branches in zip(samples, scores):
                sample.set_field(branches.detach(), 'branch_scores')
                sample.set_field(self.branch_names, 'branch_names')
        return samples

    def loss(
        self, feats: tuple[torch.Tensor, ...], data_samples: list[DataSample]
    ) -> dict[str, torch.Tensor]:
        """Compute the losses of every branch.

        Args:
            feats (tuple[torch.Tensor]): As :meth:`branch_logits` takes them.
            data_samples (list[DataSample]): With ``gt_label``, or ``gt_score`` (N,
                classes) where a batch augmentation has mixed the images.

        Returns:
            dict[str, torch.Tensor]: ``loss_ce_main``, ``loss_ce_side0``, ...; with a
            mimicking loss ``loss_mimic_main``, ``loss_mimic_side0``, ...; with
            ``cal_acc`` ``accuracy_top-1_main``, ... All are scalars.

        Raises:
            ValueError: If a label is outside the classes, or ``cal_acc`` meets labels
                that a batch augmentation has mixed.
        """
        target = self._targets(data_samples)
        logits, losses = self.losses_of_feats(feats, target)
        names = self.branch_names[-len(logits) :]
        if self.cal_acc:
            if target.ndim != 1:
                raise ValueError(
                    'MultiBranchClsHead: cal_acc=True, but a batch augmentation mixes '
                    'the labels; set cal_acc=False'
                )
            for name, z in zip(names, logits):
                # Without a threshold: by default a negative logit counts as wrong.
                tops = Accuracy.calculate(z, target, topk=self.topk, thrs=(None,))
                for k, (accuracy,) in zip(self.topk, tops):
                    losses[f'accuracy_top-{k}_{name}'] = accuracy.squeeze()
        return losses

    def losses_of_feats(
        self, feats: tuple[torch.Tensor, ...], target: torch.Tensor
    ) -> tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor]]:
        """Compute logits and losses of every branch, from tensors alone.

        Args:
            feats (tuple[torch.Tensor]): As :meth:`branch_logits` takes them.
            target (torch.Tensor): Labels (N,), or scores (N, num_classes) of mixed
                images.

        Returns:
            tuple[tuple[torch.Tensor], dict[str, torch.Tensor]]: Logits, and
            ``loss_ce_main``, ``loss_mimic_main``, ...
        """
        logits = self.branch_logits(feats)
        mimicking = None
        if self.mimicking_loss is None or len(logits) == 1:
            entropies = self._classification_losses(logits, target)
        elif target.ndim == 1 and _is_cross_entropy(self.loss_module):
            mimicking, entropies = self.mimicking_loss.with_cross_entropy(logits, target)
            entropies = entropies * self.loss_module.loss_weight
        else:
            mimicking = self.mimicking_loss(logits)
            entropies = self._classification_losses(logits, target)
        names = self.branch_names[-len(logits) :]
        losses = {f'loss_ce_{name}': loss for name, loss in zip(names, entropies)}
        if mimicking is not None:
            for name, loss in zip(names, mimicking):
                losses[f'loss_mimic_{name}'] = loss
        return logits, losses

    def switch_to_deploy(self) -> None:
        """Drop the side branches' classifiers and the mimicking loss in place."""
        self.side_fcs = ModuleList()
        # Deleted first: a registered child that is None breaks MMEngine's FLOPs table.
        del self.mimicking_loss
        self.mimicking_loss = None

    def _classification_losses(
        self, logits: Sequence[torch.Tensor], target: torch.Tensor
    ) -> list[torch.Tensor]:
        return [self.loss_module(z, target, avg_factor=len(z)) for z in logits]

    def _targets(self, data_samples: list[DataSample]) -> torch.Tensor:
        if 'gt_score' in data_samples[0]:
            return torch.stack([sample.gt_score for sample in data_samples])
        labels = torch.cat([sample.gt_label for sample in data_samples])
        # On a GPU the look would cost a synchronisation a step; LabelCheckHook has
        # looked before the training.
        if labels.device.type == 'cpu':
            low, high = int(labels.min()), int(labels.max())
            if low < 0 or high >= self.num_classes:
                raise ValueError(
                    f'MultiBranchClsHead: label {low if low < 0 else high} is outside '
                    f'the {self.num_classes} classes (0 to {self.num_classes - 1}); '
                    "correct the annotation, or the head's num_classes"
                )
        return labels


def _is_cross_entropy(loss: nn.Module) -> bool:
    """Whether a loss is the mean of -log p and nothing else, times its weight."""
    return (
        type(loss) is CrossEntropyLoss
        and not loss.use_sigmoid
        and not loss.use_soft
        and loss.class_weight is None
        and loss.reduction == 'mean'
    )
