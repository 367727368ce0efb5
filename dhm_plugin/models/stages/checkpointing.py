"""Activation checkpointing that leaves batch norms as they are."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def run_block(block: nn.Module, *inputs: torch.Tensor, with_cp: bool) -> torch.Tensor:
    """Run a block, in training with the memory of its inputs alone if asked to.

    Args:
        block (nn.Module): What to run.
        inputs (torch.Tensor): What to run it on.
        with_cp (bool): Whether its activations are computed again in the backward pass
            instead of kept.

    Returns:
        torch.Tensor: What the block returns.
    """
    if not (with_cp and torch.is_grad_enabled()):
        return block(*inputs)
    return checkpoint(
        block,
        *inputs,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _running_statistics_kept(block)),
    )


@contextmanager
def _running_statistics_kept(block: nn.Module) -> Iterator[None]:
    """Keep the second run of a batch from counting twice in the running statistics."""
    norms = [
        module
        for module in block.modules()
        if isinstance(module, _BatchNorm) and module.training
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked -= 1
