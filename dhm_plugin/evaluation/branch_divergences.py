"""Divergence of every pair of branches."""

from collections.abc import Sequence
from itertools import permutations

import torch
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric
from mmpretrain.registry import METRICS

from ..checked_arguments import checked_arguments
from .branch_log_probs import branch_log_probs, means


@METRICS.register_module()
@checked_arguments
class BranchDivergences(BaseMetric):
    """Divergence of every ordered pair of branches, in nats.

    ``divergence/kl_side0_main`` is KL(teacher side0 || student main) of the class
    probabilities; there is one of every pair, either way. The cross-entropies, the other
    part of the objective, are what :class:`Calibration` has as ``nll_main``, ...

    All are means over the images, at temperature 1 and without weights; several processes
    count each image once.

    All branches must run in evaluation: ``model = dict(eval_branches=True)``, or beside a
    :class:`SideBranchNeck` ``model = dict(neck=dict(eval_branches=True))``.

    Args:
        collect_device (str): ``'cpu'`` or ``'gpu'``, where the processes collect their
            results. Defaults to ``'cpu'``.
        prefix (str, optional): Before the names, with a slash. Defaults to None, which
            means ``'divergence'``.

    Raises:
        ValueError: If a prediction has no logits of the branches, or scores of other
            logits, as of test-time augmentation.
    """

    default_prefix = 'divergence'

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Compute the divergences of each image of a batch.

        Args:
            data_batch (object): Not used.
            data_samples (Sequence[dict]): Predictions with ``gt_label``,
                ``pred_score`` (classes,), ``branch_logits`` (K, classes) and
                ``branch_names``.
        """
        names, log_probs, _ = branch_log_probs(type(self).__name__, data_samples)
        # For each image: row j, column i holds KL(teacher j || student i).
        divergences = F.kl_div(
            log_probs.unsqueeze(1),
            log_probs.unsqueeze(2),
            reduction='none',
            log_target=True,
        ).sum(dim=-1)
        of_pairs = {
            f'kl_{teacher}_{student}': divergences[:, j, i]
            for (j, teacher), (i, student) in permutations(enumerate(names), 2)
        }
        rows = torch.stack(tuple(of_pairs.values()), dim=1).tolist()
        self.results += [dict(zip(of_pairs, row)) for row in rows]

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Average over all images.

        Args:
            results (list[dict]): Of :meth:`process`, of all processes.

        Returns:
            dict[str, float]: Divergences in nats.
        """
        return means(results)
