"""Top-k accuracy of every branch, and of all together."""

from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric
from mmpretrain.registry import METRICS

from ..checked_arguments import checked_arguments, is_integer
from .branch_log_probs import ENSEMBLE, branch_log_probs, means, with_ensemble


@METRICS.register_module()
@checked_arguments
class BranchAccuracy(BaseMetric):
    """Top-k accuracy of every branch and of their ensemble, in one pass.

    The ensemble is the mean of the class probabilities of all branches. The metrics are
    ``branch/main_top1``, ``branch/side0_top1``, ..., ``branch/ensemble_top1``, in
    percent; several processes count each image once.

    All branches must run in evaluation: ``model = dict(eval_branches=True)``, or beside a
    :class:`SideBranchNeck` ``model = dict(neck=dict(eval_branches=True))``.

    Args:
        topk (int | Sequence[int]): A prediction is right if the label is among so many
            classes. Defaults to (1, ).
        collect_device (str): ``'cpu'`` or ``'gpu'``, where the processes collect their
            results. Defaults to ``'cpu'``.
        prefix (str, optional): Before the names, with a slash. Defaults to None, which
            means ``'branch'``.

    Raises:
        ValueError: If ``topk`` is no positive integer or list of such, or a prediction
            has no logits of the branches, or scores of other logits, as of test-time
            augmentation, or fewer classes than a k.
    """

    default_prefix = 'branch'

    def __init__(
        self,
        topk: int | Sequence[int] = (1,),
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.topk = tuple(topk) if isinstance(topk, Sequence) else (topk,)
        if not self.topk or not all(is_integer(k) and k >= 1 for k in self.topk):
            raise ValueError(
                f'BranchAccuracy: topk={topk}; it must be an integer, at least 1, or a '
                'list of such, as (1, 5)'
            )

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Rank the labels of a batch.

        Args:
            data_batch (object): Not used.
            data_samples (Sequence[dict]): Predictions with ``gt_label``,
                ``pred_score`` (classes,), ``branch_logits`` (K, classes) and
                ``branch_names``.
        """
        names, log_probs, labels = branch_log_probs(type(self).__name__, data_samples)
        scores = with_ensemble(log_probs)
        largest = max(self.topk)
        if largest > scores.size(-1):
            raise ValueError(
                f'BranchAccuracy: topk={self.topk}, but there are {scores.size(-1)} '
                'classes'
            )
        hits = scores.topk(largest, dim=-1).indices == labels.view(-1, 1, 1)
        within = torch.stack([hits[..., :k].any(dim=-1) for k in self.topk], dim=-1)
        keys = [f'{name}_top{k}' for name in (*names, ENSEMBLE) for k in self.topk]
        self.results += [dict(zip(keys, row)) for row in within.flatten(1).tolist()]

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Average over all images.

        Args:
            results (list[dict]): Of :meth:`process`, of all processes.

        Returns:
            dict[str, float]: Accuracies in percent.
        """
        return {name: 100 * share for name, share in means(results).items()}
