"""Activation checkpointing that leaves batch norms as they are."""

from contextlib import nullcontext

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
    return _checkpointed(block, *inputs)


# torch.compile knows no context function: it compiles what lies between the blocks.
@torch.compiler.disable
def _checkpointed(block: nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
    contexts = nullcontext(), StatisticsKept(block)
    return checkpoint(block, *inputs, use_reentrant=False, context_fn=lambda: contexts)


class StatisticsKept:
    """Keep a second run of a batch from counting twice in the running statistics.

    Entered once a backward pass of a checkpointed block, thus possibly several times.

    Args:
        block (nn.Module): The module that runs again inside.
    """

    def __init__(self, block: nn.Module) -> None:
        self.block = block

    def __enter__(self) -> None:
        self.norms = [
            (module, module.momentum, module.num_batches_tracked)
            for module in self.block.modules()
            if isinstance(module, _BatchNorm)
        ]
        for norm, _, batches in self.norms:
            norm.momentum = 0.0
            if batches is not None:
                norm.num_batches_tracked = batches.clone()

    def __exit__(self, *error: object) -> None:
        for norm, momentum, batches in self.norms:
            norm.momentum, norm.num_batches_tracked = momentum, batches
