"""Runs a backbone only as far as one of its maps."""

import copy
from collections.abc import Sequence
from itertools import chain

import torch
from torch import nn


class PassThrough(nn.Module):
    """Stands for a module that need not run."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple:
        """Give what comes in."""
        return inputs[0] if len(inputs) == 1 else inputs


def without(network: nn.Module, names: Sequence[str]) -> nn.Module:
    """Give a network in which some modules only pass on what they get.

    Args:
        network (nn.Module): The network; it stays as it is.
        names (Sequence[str]): Of the modules.

    Returns:
        nn.Module: It shares all other modules, and all weights, with the network.
    """
    twin = copy.copy(network)
    twin._modules = dict(network._modules)
    twin.__dict__.pop('forward', None)  # compiled, for the whole network
    for name in names:
        child, _, rest = name.partition('.')
        module = without(twin._modules[child], [rest]) if rest else PassThrough()
        twin._modules[child] = module
    return twin


def maps_of(backbone: nn.Module) -> tuple[torch.Tensor, ...]:
    """Run a backbone on an image, in evaluation.

    On the meta device, which computes shapes alone, if it runs there; else where it is.

    Args:
        backbone (nn.Module): The backbone; it stays as it is.

    Returns:
        tuple[torch.Tensor]: Its maps of a 224x224 image.
    """
    state = dict(chain(backbone.named_parameters(), backbone.named_buffers()))
    conv = next((m for m in backbone.modules() if isinstance(m, nn.Conv2d)), None)
    shape = 1, conv.in_channels if conv else 3, 224, 224
    device = next((tensor.device for tensor in state.values()), None)
    modes = {module: module.training for module in backbone.modules()}
    backbone.eval()
    try:
        with torch.no_grad():
            try:
                on_meta = {name: tensor.to('meta') for name, tensor in state.items()}
                image = torch.empty(shape, device='meta')
                return torch.func.functional_call(backbone, on_meta, (image,))
            except Exception:
                return backbone(torch.zeros(shape, device=device))
    finally:
        for module, mode in modes.items():
            module.training = mode


def not_needed_for(backbone: nn.Module, index: int) -> list[str]:
    """Find what a backbone runs only after one of its maps.

    Args:
        backbone (nn.Module): The backbone.
        index (int): Which of its maps.

    Returns:
        list[str]: Names of modules for :func:`without`, the outermost ones. Empty if the
        map cannot be had without them, as where it is not the output of one module.
    """
    events: list[tuple[str, object]] = []
    handles = []
    for name, module in backbone.named_modules():
        if name:

            def begin(module, inputs, name=name):
                events.append((name, None))

            def end(module, inputs, output, name=name):
                events.append((name, output))

            handles.append(module.register_forward_pre_hook(begin))
            handles.append(module.register_forward_hook(end))
    try:
        feature_map = maps_of(backbone)[index]
    finally:
        for handle in handles:
            handle.remove()
    ends = [i for i, (_, output) in enumerate(events) if output is feature_map]
    if not ends:
        return []
    # What has begun before holds the map's module, or was needed for the map.
    earlier = {name for name, _ in events[: ends[-1] + 1]}
    later = dict.fromkeys(name for name, _ in events if name not in earlier)
    names = [
        name for name in later if not any(name.startswith(f'{outer}.') for outer in later)
    ]
    try:
        again = maps_of(without(backbone, names))[index].shape
    except Exception:  # what follows needs more than what it passes on
        return []
    return names if again == feature_map.shape else []
