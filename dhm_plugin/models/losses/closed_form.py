"""Mimicking losses and cross-entropies of all branches at a cost linear in branches."""

from typing import Any

import torch
from torch.autograd.function import once_differentiable


class ClosedForm(torch.autograd.Function):
    r"""Mimicking losses, and cross-entropies of the same softmax, in closed form.

    With :math:`S = \sum_j p_j`, the sum of the class probabilities of all K branches,
    the losses of branch i and the gradient of their sum at its logits are, a sample,

    .. math::
        M_i = \sum_j KL(p_j \| p_i) = \sum_j p_j \log p_j - S \log p_i, \quad
        C_i = -\log p_{i, y}, \quad
        \frac{\partial (M_i + C_i)}{\partial z_i} = K p_i - S + p_i - [c = y]

    so that no pair of branches is ever computed, and the probabilities alone are kept
    for the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, target: torch.Tensor | None, *logits: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Compute the losses, means over the batch.

        Args:
            ctx (Any): PyTorch's.
            target (torch.Tensor | None): Labels (N,), int64; None leaves the
                cross-entropies out.
            logits (torch.Tensor): K tensors (N, classes) of one floating type.

        Returns:
            tuple[torch.Tensor, torch.Tensor | None]: Mimicking losses (K,) and
            cross-entropies (K,).
        """
        stacked = torch.stack(logits)
        branches, size, _ = stacked.shape
        probs = stacked.softmax(dim=-1)
        total = probs.sum(dim=0)
        # log p = z - log_norm. The most probable class gives log_norm to the last digit
        # without a second pass of exponentials.
        log_norms = stacked.amax(dim=-1) - probs.amax(dim=-1).log()
        log_norms = log_norms.sum(dim=1)
        own = (probs * stacked).sum() - log_norms.sum()
        index = chosen = None
        if target is not None:
            index = target.expand(branches, -1).unsqueeze(-1)
            chosen = stacked.gather(2, index).sum(dim=(1, 2))
        # No matrix product, from which TF32 and autocast would take digits.
        cross = stacked.mul_(total).sum(dim=(1, 2)) - branches * log_norms
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(probs, total, index)
        entropies = None if chosen is None else (log_norms - chosen) / size
        return (own - cross) / size, entropies

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, mimicking: torch.Tensor | None, entropies: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, ...]:
        """Compute the gradients at the logits from those at the losses (K,)."""
        probs, total, index = ctx.saved_tensors
        branches, size, _ = probs.shape
        zero = probs.new_zeros(())
        mimicking = (zero if mimicking is None else mimicking / size).view(-1, 1, 1)
        entropies = (zero if entropies is None else entropies / size).view(-1, 1, 1)
        grads = probs * torch.add(entropies, mimicking, alpha=branches)
        grads.addcmul_(total, mimicking, value=-1)
        if index is not None:
            grads.scatter_add_(2, index, -entropies.expand(branches, size, 1))
        return None, *grads
