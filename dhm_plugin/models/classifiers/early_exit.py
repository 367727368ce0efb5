"""Which module of a backbone gives a map: behind it an early exit runs nothing."""

from itertools import chain

import torch
from torch import nn

from ..side_branches import run_on_meta, trace


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


def module_of(backbone: nn.Module, fork: int) -> str | None:
    """Find the module whose output is one of a backbone's maps.

    Args:
        backbone (nn.Module): The backbone.
        fork (int): Number of the map.

    Returns:
        str | None: Its name, the outermost one's. None if there is none, if it runs more
        than once, or if another one writes into what it gave.
    """
    try:
        calls, _, maps = trace(backbone)
    except ValueError:  # it does not run on the meta device
        return None
    names = [call.name for call in calls]
    found = [
        call.name
        for call in calls
        if call.output is maps[fork] and names.count(call.name) == 1 and not call.changed
    ]
    return found[-1] if found else None
