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


def maps_on_meta(backbone: nn.Module) -> tuple[torch.Tensor, ...]:
    """Run a backbone on the meta device, which computes shapes alone.

    Args:
        backbone (nn.Module): The backbone; it stays as it is.

    Returns:
        tuple[torch.Tensor]: Its maps of a 224x224 image, in evaluation.
    """
    conv = next((m for m in backbone.modules() if isinstance(m, nn.Conv2d)), None)
    image = torch.empty(1, conv.in_channels if conv else 3, 224, 224, device='meta')
    tensors = {
        name: tensor.to('meta')
        for name, tensor in chain(backbone.named_parameters(), backbone.named_buffers())
    }
    training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            return torch.func.functional_call(backbone, tensors, (image,))
    finally:
        backbone.train(training)


def not_needed_for(backbone: nn.Module, index: int) -> list[str]:
    """Find what a backbone runs only after one of its maps.

    Args:
        backbone (nn.Module): The backbone.
        index (int): Which of its maps.

    Returns:
        list[str]: Names of modules for :func:`without`, the outermost ones. None if the
        map is not the output of one module, or the backbone does not give it without
        them.
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
        feature_map = maps_on_meta(backbone)[index]
    except Exception:
        return []
    finally:
        for handle in handles:
            handle.remove()
    ends = [i for i, (_, output) in enumerate(events) if output is feature_map]
    if not ends:
        return []
    earlier = {name for name, _ in events[: ends[-1] + 1]}
    later = dict.fromkeys(name for name, _ in events if name not in earlier)
    names = [
        name for name in later if not any(name.startswith(f'{outer}.') for outer in later)
    ]
    try:
        again = maps_on_meta(without(backbone, names))[index]
    except Exception:
        return []
    return names if again.shape == feature_map.shape else []
