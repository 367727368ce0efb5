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
        size = len(logits[0])
        probs = logits[0].new_empty(len(logits), *logits[0].shape)
        for z, out in zip(logits, probs):
            torch.softmax(z, dim=-1, out=out)
        total = probs.sum(dim=0)
        # log p = z - log_norm. The most probable class gives log_norm to the last digit
        # without a second pass of exponentials.
        largest = torch.stack([z.amax(dim=-1) for z in logits])
        log_norms = (largest - probs.amax(dim=-1).log()).sum(dim=1)
        flat = [z.flatten() for z in logits]
        # Dot products: TF32 and autocast, which take digits from matrix products, leave
        # them alone.
        own = torch.stack([p.flatten().dot(z) for p, z in zip(probs, flat)])
        cross = torch.stack([total.flatten().dot(z) for z in flat])
        mimicking = (own - log_norms).sum() - (cross - len(logits) * log_norms)
        ctx.set_materialize_grads(False)
        if target is None:
            ctx.save_for_backward(probs, total)
            return mimicking / size, None
        index = target.unsqueeze(1)
        chosen = torch.cat([z.gather(1, index) for z in logits], dim=1).sum(dim=0)
        ctx.save_for_backward(probs, total, index)
        return mimicking / size, (log_norms - chosen) / size

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, mimicking: torch.Tensor | None, entropies: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, ...]:
        """Compute the gradients at the logits from those at the losses (K,)."""
        probs, total, *index = ctx.saved_tensors
        branches, size, _ = probs.shape
        zero = probs.new_zeros(branches)
        mimicking = (zero if mimicking is None else mimicking / size).view(-1, 1, 1)
        entropies = (zero if entropies is None else entropies / size).view(-1, 1, 1)
        grads = probs * torch.add(entropies, mimicking, alpha=branches)
        grads.addcmul_(total, mimicking, value=-1)
        if index:
            shape = branches, size, 1
            grads.scatter_add_(2, index[0].expand(shape), -entropies.expand(shape))
        return None, *grads
