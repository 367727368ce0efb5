r"""The objective of all branches."""

from collections.abc import Callable, Mapping, Sequence

import torch
from mmpretrain.evaluation.metrics import Accuracy
from mmpretrain.models import FocalLoss, SeesawLoss
from mmpretrain.structures import DataSample
from torch import nn

from .mimicking_loss import MimickingLoss, at_least_float32


def objective(
    logits: Mapping[str, torch.Tensor],
    target: torch.Tensor,
    classification_loss: Callable[..., torch.Tensor],
    mimicking_loss: MimickingLoss | None = None,
) -> dict[str, torch.Tensor]:
    r"""Compute the terms of the objective L, whose sum is minimized.

    .. math::
        L = \sum_i CE(z_i, y) + \alpha T^2 \sum_{i \ne j} KL(p_j \,\|\, p_i), \quad
        p_i = softmax(z_i / T)

    MMEngine adds them up. What lies in here is tensors alone.

    Source: Li & Chen, *Dynamic Hierarchical Mimicking Towards Consistent Optimization
    Objectives*, CVPR 2020.

    Args:
        logits (Mapping[str, torch.Tensor]): Logits (N, classes) by the branch's name.
        target (torch.Tensor): Labels (N,), or scores (N, classes) of mixed images.
        classification_loss (Callable): Of MMPretrain, such as ``CrossEntropyLoss``.
        mimicking_loss (MimickingLoss, optional): Defaults to None: no branch mimics
            another, which is deeply supervised learning (DSL).

    Returns:
        dict[str, torch.Tensor]: ``loss_ce_main``, ... and, with a mimicking loss,
        ``loss_mimic_main``, ...: scalars.
    """
    logits = {name: at_least_float32(z) for name, z in logits.items()}
    losses = {
        f'loss_ce_{name}': classification_loss(z, target, avg_factor=len(z))
        for name, z in logits.items()
    }
    if mimicking_loss is not None and len(logits) > 1:
        mimicking = mimicking_loss(list(logits.values()))
        losses |= {f'loss_mimic_{name}': m for name, m in zip(logits, mimicking)}
    return losses


def target_of(data_samples: Sequence[DataSample]) -> torch.Tensor:
    """Give what the branches are to predict.

    Args:
        data_samples (Sequence[DataSample]): With ``gt_label``, or ``gt_score``
            (classes,) where a batch augmentation has mixed the images.

    Returns:
        torch.Tensor: Labels (N,), int64, or scores (N, classes). They are not checked
        here: :class:`LabelCheckHook` does it, before the training.
    """
    if 'gt_score' in data_samples[0]:
        return torch.stack([sample.gt_score for sample in data_samples])
    # One sample may hold the labels of a whole batch: InMemoryDataset's does.
    return torch.cat([sample.gt_label for sample in data_samples])


def accuracies(
    logits: Mapping[str, torch.Tensor], target: torch.Tensor, topk: Sequence[int]
) -> dict[str, torch.Tensor]:
    """Compute the accuracies of all branches on a training batch.

    Args:
        logits (Mapping[str, torch.Tensor]): Logits (N, classes) by the branch's name.
        target (torch.Tensor): Labels (N,).
        topk (Sequence[int]): Which accuracies.

    Returns:
        dict[str, torch.Tensor]: ``accuracy_top-1_main``, ...: scalars, in %.

    Raises:
        ValueError: If a batch augmentation has mixed the labels.
    """
    if target.ndim != 1:
        raise ValueError(
            'the head has cal_acc=True, but a batch augmentation mixes the labels; set '
            'cal_acc=False'
        )
    found = {}
    for name, z in logits.items():
        # Without a threshold: by default a negative logit counts as wrong.
        tops = Accuracy.calculate(z, target, topk=topk, thrs=(None,))
        for k, (accuracy,) in zip(topk, tops):
            found[f'accuracy_top-{k}_{name}'] = accuracy.squeeze()
    return found


def check_losses(
    classification_loss: nn.Module,
    mimicking_loss: nn.Module | None,
    branches: Sequence[str],
) -> None:
    """Refuse losses that do not fit branches that learn from one another.

    Args:
        classification_loss (nn.Module): Of every branch.
        mimicking_loss (nn.Module, optional): The mimicking loss.
        branches (Sequence[str]): Names of the branches.

    Raises:
        TypeError: If the mimicking loss is no module.
        ValueError: If it has no pair of branches, or is beside a sigmoid; or if the
            classification loss counts what it is given, as ``SeesawLoss`` does.
    """
    if isinstance(classification_loss, SeesawLoss):
        raise ValueError(
            'loss=SeesawLoss counts the images of each class whenever it is called, here '
            'once a branch, and would not be that of the plain network; take a loss that '
            'depends on logits and labels alone, such as CrossEntropyLoss'
        )
    if mimicking_loss is None:
        return
    if not isinstance(mimicking_loss, nn.Module):
        raise TypeError(
            f'mimicking_loss={mimicking_loss!r}; it must be a config such as '
            "dict(type='MimickingLoss'), or None"
        )
    known = isinstance(mimicking_loss, MimickingLoss)
    if known and not [*mimicking_loss.pairs(len(branches))]:
        raise ValueError(
            f'mimicking_loss={mimicking_loss} leaves no pair of the branches '
            f"{branches}; set its students or teachers to 'all'"
        )
    if isinstance(classification_loss, FocalLoss) or any(
        getattr(module, 'use_sigmoid', False) for module in classification_loss.modules()
    ):
        raise ValueError(
            f'loss={type(classification_loss).__name__} takes each class on its own '
            '(sigmoid), as for images with several labels, but the mimicking loss '
            'compares probabilities that sum to 1 (softmax); take a loss with a softmax, '
            'such as CrossEntropyLoss, or leave mimicking_loss out'
        )
