"""How far the class probabilities can be believed: likelihood and calibration error."""

from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric
from mmpretrain.registry import METRICS

from ..checked_arguments import checked_arguments, is_integer
from .branch_log_probs import ENSEMBLE, branch_log_probs, with_ensemble


@METRICS.register_module()
@checked_arguments
class Calibration(BaseMetric):
    """Negative log-likelihood and expected calibration error of a prediction.

    - ``calibration/nll_main``: the mean of minus the logarithm of the label's
      probability, in nats.
    - ``calibration/ece_main``: the expected calibration error, in percent. The images are
      put into bins by the largest probability; of each bin, the distance of its accuracy
      from the mean of that probability counts with its share of the images.

    Where predictions have the logits of side branches
    (``eval_branches=True`` in a :class:`SideBranchNeck`, or over a plain config in the
    :class:`DHMClassifier`), there are also those of ``side0``,
    ..., and of ``ensemble``, the mean of the class probabilities of all branches. Those
    of any other classifier of MMPretrain have ``main`` alone, and those of
    ``predict_with='side0'`` have ``side0``. Several processes count each image once.

    Source of the calibration error: Guo et al., *On Calibration of Modern Neural
    Networks*, ICML 2017.

    Args:
        bins (int): Number of bins of equal width; a bin holds its upper end. Defaults to
            15.
        collect_device (str): ``'cpu'`` or ``'gpu'``, where the processes collect their
            results. Defaults to ``'cpu'``.
        prefix (str, optional): Before the names, with a slash. Defaults to None, which
            means ``'calibration'``.

    Raises:
        ValueError: If ``bins`` is no positive integer, or a prediction has scores of
            other logits than its branches', as of test-time augmentation.
    """

    default_prefix = 'calibration'

    def __init__(
        self, bins: int = 15, collect_device: str = 'cpu', prefix: str | None = None
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not is_integer(bins) or bins < 1:
            raise ValueError(
                f'Calibration: bins={bins!r}; it must be an integer, at least 1'
            )
        self.bins = bins

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Look at the probabilities of a batch.

        Args:
            data_batch (object): Not used.
            data_samples (Sequence[dict]): Predictions with ``gt_label`` and
                ``pred_score`` (classes,), of the main branch where there is no
                ``branch_names``; of several branches with ``branch_logits`` (K, classes).
        """
        names, log_probs, labels = self.log_probabilities(data_samples)
        losses = -log_probs[torch.arange(len(labels)), :, labels]
        most, classes = log_probs.max(dim=-1)
        right = (classes == labels.unsqueeze(1)).to(losses)
        rows = torch.stack([losses, most.exp(), right], dim=-1).tolist()
        self.results += [dict(zip(names, row)) for row in rows]

    @staticmethod
    def log_probabilities(
        data_samples: Sequence[dict],
    ) -> tuple[tuple[str, ...], torch.Tensor, torch.Tensor]:
        """Give what is measured.

        Args:
            data_samples (Sequence[dict]): As of :meth:`process`.

        Returns:
            tuple[tuple[str, ...], torch.Tensor, torch.Tensor]: The names; of each the
            logarithms of the class probabilities, float64 (N, names, classes); the
            labels (N,).
        """
        if 'branch_logits' in data_samples[0]:
            names, log_probs, labels = branch_log_probs('Calibration', data_samples)
            return (*names, ENSEMBLE), with_ensemble(log_probs), labels
        probs = torch.stack([sample['pred_score'] for sample in data_samples])
        labels = torch.cat([sample['gt_label'] for sample in data_samples])
        # What float32 has rounded to 0 would be an infinite loss.
        log_probs = probs.clamp(min=torch.finfo(torch.float32).tiny).double().log()
        names = data_samples[0].get('branch_names', ('main',))
        return names, log_probs.unsqueeze(1), labels.to(probs.device)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Average over all images, and over the bins.

        Args:
            results (list[dict]): Of :meth:`process`, of all processes.

        Returns:
            dict[str, float]: Likelihoods in nats, calibration errors in percent.
        """
        metrics = {}
        for name in results[0]:
            rows = torch.tensor([row[name] for row in results], dtype=torch.float64)
            losses, confidences, right = rows.unbind(dim=1)
            metrics[f'nll_{name}'] = losses.mean().item()
            places = (confidences * self.bins).ceil().long().clamp(1, self.bins) - 1
            # The share of a bin times the distance of its means.
            gaps = torch.zeros(self.bins, dtype=torch.float64)
            gaps.index_add_(0, places, right - confidences)
            metrics[f'ece_{name}'] = 100 * gaps.abs().sum().item() / len(results)
        return metrics
