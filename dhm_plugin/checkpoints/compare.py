"""Compares the weights of a checkpoint with those of a network."""

from collections.abc import Mapping

import torch
from torch import nn

from .files import CheckpointError


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


def load_all(
    network: nn.Module, weights: Mapping[str, torch.Tensor], problem: str
) -> None:
    """Load weights that are exactly those of a network.

    Args:
        network (nn.Module): The network.
        weights (Mapping[str, torch.Tensor]): Weights by key.
        problem (str): What it means if they are not, for the error.

    Raises:
        CheckpointError: If one is missing, has another shape or is one too many.
    """
    differing = differing_weights(weights, network.state_dict())
    if differing:
        raise CheckpointError(
            f'{problem}: {len(differing)} weights differ, the first: '
            f'{"; ".join(differing[:3])}'
        )
    # Nothing is missing, but a network may leave out of it what it computes itself, as
    # MMPretrain's SwinTransformerV2 does.
    network.load_state_dict(weights, strict=False)
