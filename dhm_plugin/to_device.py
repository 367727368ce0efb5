"""A copy to a GPU for which the host does not wait."""

import torch


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a small tensor to a device.

    Args:
        tensor (torch.Tensor): On any device.
        device (torch.device): Where it shall lie.

    Returns:
        torch.Tensor: The copy; the tensor itself where it lies there already.
    """
    if device.type == 'cuda' and tensor.is_cpu:
        # Of other memory the GPU copies when all before it is done, and the host waits.
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
