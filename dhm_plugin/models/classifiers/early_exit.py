"""Runs a backbone only as far as one of its maps."""

import copy
from collections.abc import Mapping
from itertools import chain

import torch
from torch import nn

from ..side_branches import (
    StandIn,
    calls_after,
    children_within,
    run_on_meta,
    trace,
)


def without(network: nn.Module, modules: Mapping[str, bool]) -> nn.Module:
    """Give a network in which some modules only pass on what they get.

    Args:
        network (nn.Module): The network; it stays as it is.
        modules (Mapping[str, bool]): Names of these modules, and whether each gives as
            many values as it gets; else it gives one.

    Returns:
        nn.Module: It shares all other modules, and all weights, with the network.
    """
    twin = _twin(network)
    for name, several in sorted(modules.items(), key=lambda item: item[0].count('.')):
        *parents, child = name.split('.')
        owner = twin
        for parent in parents:
            owner._modules[parent] = _twin(owner._modules[parent])
            owner = owner._modules[parent]
        kept = children_within(name, modules)
        owner._modules[child] = StandIn(owner._modules[child], kept, several)
    return twin


def _twin(module: nn.Module) -> nn.Module:
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    twin.__dict__.pop('forward', None)  # compiled, for the whole network
    return twin


def maps_of(backbone: nn.Module) -> tuple[torch.Tensor, ...]:
    """Run a backbone on an image, in evaluation.

    On the meta device, which computes shapes alone, if it runs there; else where it is.

    Args:
        backbone (nn.Module): The backbone; it stays as it is.

    Returns:
        tuple[torch.Tensor]: Its maps of a 224x224 image.
    """
    conv = next((m for m in backbone.modules() if isinstance(m, nn.Conv2d)), None)
    shape = 1, conv.in_channels if conv else 3, 224, 224
    tensors = chain(backbone.parameters(), backbone.buffers())
    device = next((tensor.device for tensor in tensors), None)
    modes = {module: module.training for module in backbone.modules()}
    backbone.eval()
    try:
        with torch.no_grad():
            try:
                return run_on_meta(backbone, torch.empty(shape, device='meta'))[0]
            except Exception:
                return backbone(torch.zeros(shape, device=device))
    finally:
        for module, mode in modes.items():
            module.training = mode


def not_needed_for(backbone: nn.Module, end: int) -> dict[str, bool]:
    """Find what a backbone runs only after one of its maps.

    Args:
        backbone (nn.Module): The backbone.
        end (int): Number of the map.

    Returns:
        dict[str, bool]: Modules for :func:`without`. Empty if the map cannot be had
        without them, as where it is not the output of one module.
    """
    try:
        calls, images, maps = trace(backbone)
        ends = [i for i, call in enumerate(calls) if call.output is maps[end]]
        after = calls_after(calls, ends[-1])
        later = {name: call.gives_several for name, call in after.items()}
        again, _ = run_on_meta(without(backbone, later), images)
    except Exception:  # what follows needs more than what it passes on
        return {}
    return later if again[end].shape == maps[end].shape else {}
