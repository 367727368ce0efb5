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
        branches, size = len(logits), len(logits[0])
        if logits[0].is_cuda:
            groups = [torch.stack(logits)]  # few kernels
        else:
            groups = [z.unsqueeze(0) for z in logits]  # each in the cache
        index = None if target is None else target.view(1, -1, 1)
        total = torch.zeros_like(logits[0])
        probs, own, log_norms, chosen = [], [], [], []
        for z in groups:
            p = z.softmax(dim=-1)
            probs.append(p)
            for branch in p:
                total += branch
            # No matrix product, from which TF32 and autocast would take digits.
            own.append((p * z).sum())
            # log p = z - log_norm. The most probable class gives log_norm to the last
            # digit without a second pass of exponentials.
            log_norms.append((z.amax(dim=-1) - p.amax(dim=-1).log()).sum(dim=1))
            if index is not None:
                chosen.append(z.gather(2, index.expand(len(z), -1, -1)).sum(dim=(1, 2)))
        cross = [(total * z).sum(dim=(1, 2)) for z in groups]
        log_norms = torch.cat(log_norms)
        own = torch.stack(own).sum() - log_norms.sum()
        mimicking = own - torch.cat(cross) + branches * log_norms
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(total, index, *probs)
        entropies = None if index is None else (log_norms - torch.cat(chosen)) / size
        return mimicking / size, entropies

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, mimicking: torch.Tensor | None, entropies: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, ...]:
        """Compute the gradients at the logits from those at the losses (K,)."""
        total, index, *probs = ctx.saved_tensors
        branches, size = sum(map(len, probs)), len(total)
        zeros = total.new_zeros(branches)
        mimicking = (zeros if mimicking is None else mimicking / size).view(-1, 1, 1)
        entropies = (zeros if entropies is None else entropies / size).view(-1, 1, 1)
        scales = torch.add(entropies, mimicking, alpha=branches)
        grads, first = [], 0
        for p in probs:
            part = slice(first, first + len(p))
            grad = (p * scales[part]).addcmul_(total, mimicking[part], value=-1)
            if index is not None:
                shape = len(p), size, 1
                grad.scatter_add_(2, index.expand(shape), -entropies[part].expand(shape))
            grads += grad.unbind()
            first += len(p)
        return None, *grads
