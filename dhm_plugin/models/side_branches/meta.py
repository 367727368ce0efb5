"""Runs a network on the meta device, which computes shapes alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import LayerNorm
from torch.nn.modules.batchnorm import _BatchNorm

from .calls import Call, calls_of

# Images that networks are built for, where they do not say it.
_SIZES = 224, 256, 384, 32
#: By what a module says that it checkpoints what it runs.
CHECKPOINTED = ('with_cp', 'memory_efficient', 'use_checkpoint')


def run_on_meta(network: nn.Module, *inputs: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """Run a network on the meta device, in its mode.

    Args:
        network (nn.Module): The network; its weights and statistics stay as they are.
        *inputs: What it gets, on the meta device.

    Returns:
        tuple: What it gives, and its parameters by name, as they took part in it.
    """
    twins: dict[int, torch.Tensor] = {}  # of what several modules share there is one

    def twin(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in twins:
            twins[id(tensor)] = torch.empty_like(tensor, device='meta')
        return twins[id(tensor)]

    parameters: dict[str, torch.Tensor] = {}
    buffers: dict[str, torch.Tensor] = {}
    # By the first name of each module: given by two names, functional_call would not put
    # a module's own weights back.
    modules = dict(network.named_modules())
    for prefix, module in modules.items():
        prefix = prefix and f'{prefix}.'
        for name, value in module._parameters.items():
            if value is not None:
                twin_of = twin(value).requires_grad_(value.is_floating_point())
                parameters[prefix + name] = twin_of
        for name, value in module._buffers.items():
            if value is not None:
                buffers[prefix + name] = twin(value)
    norms = [
        m for m in modules.values() if isinstance(m, _BatchNorm) or type(m) is LayerNorm
    ]
    # On the meta device a norm takes a hundred times longer than what it stands for.
    for norm in norms:
        norm.__dict__['forward'] = partial(_affine, norm)
    try:
        with without_checkpointing(network):
            output = torch.func.functional_call(
                network, parameters | buffers, inputs, tie_weights=False
            )
    finally:
        for norm in norms:
            del norm.__dict__['forward']
    return output, parameters


@contextmanager
def without_checkpointing(network: nn.Module) -> Iterator[None]:
    """Let no module compute activations again (``with_cp``).

    PyTorch's checkpoints refuse to give the gradients of some weights alone; for shapes
    they save nothing.

    Args:
        network (nn.Module): The network.
    """
    checkpointed = [
        (module, option)
        for module in network.modules()
        for option in CHECKPOINTED
        if getattr(module, option, None) is True
    ]
    for module, option in checkpointed:
        setattr(module, option, False)
    try:
        yield
    finally:
        for module, option in checkpointed:
            setattr(module, option, True)


@torch.no_grad()
def trace(backbone: nn.Module) -> tuple[list[Call], torch.Tensor, Any]:
    """Record what a backbone calls for seven images of a size that it takes.

    Args:
        backbone (nn.Module): The backbone.

    Returns:
        tuple: The calls, the images (7, C, H, W), on the meta device, and what it gives.

    Raises:
        ValueError: If it cannot run on the meta device.
    """
    conv = next((m for m in backbone.modules() if isinstance(m, nn.Conv2d)), None)
    sizes = (getattr(module, 'img_size', None) for module in backbone.modules())
    own = next(filter(None, sizes), None)
    error: Exception | None = None
    for size in dict.fromkeys((own, *_SIZES) if own else _SIZES):
        height, width = size if isinstance(size, (tuple, list)) else (size, size)
        # With a prime number, no view mistakes channels for images.
        shape = 7, conv.in_channels if conv else 3, height, width
        images = torch.empty(shape, device='meta')
        try:
            calls, (output, _) = calls_of(
                backbone, partial(run_on_meta, backbone, images)
            )
            return calls, images, output
        except Exception as failure:
            error = error or failure
    raise ValueError(str(error)) from error


class _Affine(torch.autograd.Function):
    """Gives what has a norm's shape, and depends on what it depends on.

    A copy alone: PyTorch computes the shapes of sums and products in Python.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        ctx.shapes = [weight.shape for weight in weights]
        return x.clone(memory_format=torch.contiguous_format)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return gradient, *(gradient.new_empty(shape) for shape in ctx.shapes)


def _affine(norm: _BatchNorm | LayerNorm, x: torch.Tensor) -> torch.Tensor:
    weights = [weight for weight in (norm.weight, norm.bias) if weight is not None]
    return _Affine.apply(x, *weights)
