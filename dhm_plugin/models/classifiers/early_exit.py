"""Runs a backbone only as far as one of its maps."""

import copy
from collections.abc import Sequence
from itertools import chain

import torch
from mmengine.logging import print_log
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


def trace(
    backbone: nn.Module,
) -> tuple[tuple[torch.Tensor, ...] | None, list[list[str] | None]]:
    """Run a backbone on the meta device, which computes shapes alone.

    Args:
        backbone (nn.Module): The backbone.

    Returns:
        tuple[tuple[torch.Tensor] | None, list[list[str] | None]]: Its maps of a 224x224
        image, None if it does not run there. And for each map the names of the outermost
        modules that run after it and need not run for it, None if the map is not the
        output of one module.
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
        maps = _maps_on_meta(backbone)
        return maps, [_later(feature_map, events) for feature_map in maps]
    except Exception as error:
        print_log(
            'Whether the side branches fit is not known before the first batch: on the '
            f'meta device {type(backbone).__name__} does not run ({error})',
            logger='current',
        )
        return None, []
    finally:
        for handle in handles:
            handle.remove()


def gives_the_map(
    backbone: nn.Module, later: Sequence[str], index: int, shape: torch.Size
) -> bool:
    """Tell whether a backbone gives a map also without the modules that run after it.

    Args:
        backbone (nn.Module): The backbone.
        later (Sequence[str]): The names of those modules, of :func:`trace`.
        index (int): Which of its maps.
        shape (torch.Size): The map's, of :func:`trace`.

    Returns:
        bool: Whether it runs, and the map has its shape.
    """
    try:
        return _maps_on_meta(without(backbone, later))[index].shape == shape
    except Exception:
        return False


def _maps_on_meta(backbone: nn.Module) -> tuple[torch.Tensor, ...]:
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


def _later(
    feature_map: torch.Tensor, events: list[tuple[str, object]]
) -> list[str] | None:
    """Name the outermost modules that begin after the one that gave a map has ended."""
    ends = [i for i, (_, output) in enumerate(events) if output is feature_map]
    if not ends:
        return None
    earlier = {name for name, _ in events[: ends[-1] + 1]}
    later = dict.fromkeys(name for name, _ in events[ends[-1] + 1 :])
    later = [name for name in later if name not in earlier]
    return [
        name for name in later if not any(name.startswith(f'{outer}.') for outer in later)
    ]
