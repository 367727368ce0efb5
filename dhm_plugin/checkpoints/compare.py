"""Compares the weights of a checkpoint with those of a network."""

from collections.abc import Mapping

import torch


def differing_weights(
    found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]
) -> list[str]:
    """Name the weights that are missing, have another shape, or are one too many.

    Args:
        found (Mapping[str, torch.Tensor]): Weights by key, of the checkpoint.
        expected (Mapping[str, torch.Tensor]): Weights by key, of the network.

    Returns:
        list[str]: Such as ``fc.weight is (10, 64), it must be (100, 64)``.
    """
    shapes, right = (
        {key: tuple(value.shape) for key, value in state.items()}
        for state in (found, expected)
    )
    return [
        f'{key} is {shapes.get(key, "missing")}, it must be {right.get(key, "absent")}'
        for key in {**right, **shapes}
        if shapes.get(key) != right.get(key)
    ]
