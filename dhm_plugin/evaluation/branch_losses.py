"""Cross-entropy of every branch, and divergence of every pair."""

from collections.abc import Sequence
from itertools import permutations

import torch
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric
from mmpretrain.registry import METRICS

from ..checked_arguments import checked_arguments
from .branch_logits import ENSEMBLE, branch_logits, means, with_ensemble


@METRICS.register_module()
@checked_arguments
class BranchLosses(BaseMetric):
    """Cross-entropy of every branch and divergence of every ordered pair, in nats.

    - ``branch_loss/ce_main``, ``branch_loss/ce_side0``, ...: the cross-entropy of a
      branch; ``branch_loss/ce_ensemble``: of the mean of the class probabilities of all
      branches.
    - ``branch_loss/kl_side0_main``, ...: KL(teacher side0 || student main) of the class
      probabilities; of every pair, either way.

    All are means over the images, at temperature 1 and without weights; several processes
    count each image once.

    All branches must run in evaluation: ``model = dict(eval_branches=True)``, or beside a
    :class:`SideBranchNeck` ``model = dict(neck=dict(eval_branches=True))``.

    Args:
        collect_device (str): ``'cpu'`` or ``'gpu'``, where the processes collect their
            results. Defaults to ``'cpu'``.
        prefix (str, optional): Before the names, with a slash. Defaults to None, which
            means ``'branch_loss'``.

    Raises:
        ValueError: If a prediction has no logits of the branches.
    """

    default_prefix = 'branch_loss'

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Compute the losses of each image of a batch.

        Args:
            data_batch (object): Not used.
            data_samples (Sequence[dict]): Predictions with ``gt_label``,
                ``branch_logits`` (K, classes) and ``branch_names``.
        """
        names, logits, labels = branch_logits(type(self).__name__, data_samples)
        log_probs = logits.double().log_softmax(dim=-1)
        # For each image: row j, column i holds KL(teacher j || student i).
        divergences = F.kl_div(
            log_probs.unsqueeze(1),
            log_probs.unsqueeze(2),
            reduction='none',
            log_target=True,
        ).sum(dim=-1)
        log_probs = with_ensemble(log_probs)
        of_labels = log_probs[torch.arange(len(labels)), :, labels]
        losses = {
            f'ce_{name}': -of_labels[:, i] for i, name in enumerate((*names, ENSEMBLE))
        }
        for (j, teacher), (i, student) in permutations(enumerate(names), 2):
            losses[f'kl_{teacher}_{student}'] = divergences[:, j, i]
        rows = torch.stack(tuple(losses.values()), dim=1).tolist()
        self.results += [dict(zip(losses, row)) for row in rows]

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Average over all images.

        Args:
            results (list[dict]): Of :meth:`process`, of all processes.

        Returns:
            dict[str, float]: Losses in nats.
        """
        return means(results)
