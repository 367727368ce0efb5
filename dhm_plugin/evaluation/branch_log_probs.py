"""What the metrics of all branches are computed from."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

ENSEMBLE = 'ensemble'
# More than bfloat16 rounds a probability.
_ROUNDING = 0.01


class BranchLogProbs(NamedTuple):
    """The logarithms of the class probabilities of all branches of a batch.

    Attributes:
        names (tuple[str]): Of the K branches, main branch last.
        log_probs (torch.Tensor): float64 (N, K, classes): float16 rounds small
            probabilities to 0, and so ranks them alike.
        labels (torch.Tensor): Shape (N,), on the device of the logits.
    """

    names: tuple[str, ...]
    log_probs: torch.Tensor
    labels: torch.Tensor


def branch_log_probs(metric: str, data_samples: Sequence[dict]) -> BranchLogProbs:
    """Gather what all branches say of a batch.

    Args:
        metric (str): The metric that needs them, for the error.
        data_samples (Sequence[dict]): Predictions with ``gt_label``, ``pred_score``
            (classes,), ``branch_logits`` (K, classes) and ``branch_names``.

    Returns:
        BranchLogProbs: Names, log-probabilities and labels.

    Raises:
        ValueError: If a prediction has no logits of the branches, or scores of other
            logits.
    """
    logits = [sample.get('branch_logits') for sample in data_samples]
    if any(each is None for each in logits):
        raise ValueError(
            f'{metric}: the predictions have no logits of the side branches; set '
            'model.eval_branches=True, or beside a SideBranchNeck '
            "model.neck.eval_branches=True, and model.predict_with='main', and leave out "
            'this metric for a network without side branches'
        )
    log_probs = torch.stack(logits).double().log_softmax(dim=-1)
    probs = log_probs.exp()
    scores = torch.stack([sample['pred_score'] for sample in data_samples])
    # Those of the main branch, or of the ensemble.
    expected = torch.stack([probs[:, -1], probs.mean(dim=1)])
    if ((expected - scores).abs().amax(dim=(1, 2)) > _ROUNDING).all():
        raise ValueError(
            f'{metric}: the scores of the predictions are not those of their branches; '
            'test-time augmentation merges the scores of all views, and leaves the '
            'logits of the first one; leave out --tta or this metric'
        )
    labels = torch.cat([sample['gt_label'] for sample in data_samples])
    names = tuple(data_samples[0]['branch_names'])
    return BranchLogProbs(names, log_probs, labels.to(log_probs.device))


def with_ensemble(log_probs: torch.Tensor) -> torch.Tensor:
    """Add the ensemble: the mean of the class probabilities of all branches.

    Args:
        log_probs (torch.Tensor): Log-probabilities (N, K, classes) of K branches.

    Returns:
        torch.Tensor: Log-probabilities (N, K + 1, classes), the ensemble's last.
    """
    mean = log_probs.logsumexp(dim=1, keepdim=True) - math.log(log_probs.size(1))
    return torch.cat([log_probs, mean], dim=1)


def means(results: Sequence[dict[str, float]]) -> dict[str, float]:
    """Average over all images.

    Args:
        results (Sequence[dict[str, float]]): One an image, all with the same names.

    Returns:
        dict[str, float]: The mean by name.
    """
    return {
        name: sum(result[name] for result in results) / len(results)
        for name in results[0]
    }
