"""Resizing as Pillow does, faster."""

import numpy as np
import torch
import torch.nn.functional as F


def bilinear(image: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """Resize an image by PyTorch's vectorized bilinear filter with antialiasing.

    Args:
        image (np.ndarray): uint8 (H, W, 3), contiguous.
        size (tuple[int, int]): Height and width of the result.

    Returns:
        torch.Tensor: uint8 (3, height, width).
    """
    planes = torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0)
    return F.interpolate(planes, size, mode='bilinear', antialias=True)[0]
