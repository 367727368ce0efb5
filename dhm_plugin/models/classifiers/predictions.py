"""Predictions that carry the logits of all branches."""

from collections.abc import Mapping

import torch
from mmpretrain.models import ClsHead
from mmpretrain.structures import DataSample


def predictions(
    predicting: torch.Tensor,
    logits: Mapping[str, torch.Tensor],
    data_samples: list[DataSample] | None,
) -> list[DataSample]:
    """Make predictions of logits.

    Args:
        predicting (torch.Tensor): The logits (N, classes) that decide.
        logits (Mapping[str, torch.Tensor]): Of the branches, by name.
        data_samples (list[DataSample], optional): To add the predictions to. None makes
            new ones.

    Returns:
        list[DataSample]: With ``pred_score``, ``pred_label`` and ``branch_names``; of
        several branches also with ``branch_logits`` (K, classes).
    """
    samples = ClsHead().predict((predicting,), data_samples)
    stacked = torch.stack(tuple(logits.values()), dim=1).detach()
    for sample, of_branches in zip(samples, stacked):
        sample.set_field(tuple(logits), 'branch_names')
        if len(logits) > 1:
            sample.set_field(of_branches, 'branch_logits')
    return samples
