"""A trained checkpoint without its side branches."""

import torch

from .files import CheckpointError

_OF_A_NECK = ('neck.branches.', 'head.side_fcs.')
SIDE_BRANCH_PREFIXES = (*_OF_A_NECK, 'side_branches.')


def strip_side_branches(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Keep the main branch, whose keys are the stock MMPretrain ones.

    Args:
        state_dict (dict[str, torch.Tensor]): Weights of a :class:`DHMClassifier`.

    Returns:
        dict[str, torch.Tensor]: The same without the side branches' weights.

    Raises:
        CheckpointError: If there is no side branch in it, or no main branch.
    """
    kept = {
        key: value
        for key, value in state_dict.items()
        if not key.startswith(SIDE_BRANCH_PREFIXES)
    }
    if len(kept) == len(state_dict):
        raise CheckpointError(
            'it has no side branches: no key begins with '
            f'{" or ".join(SIDE_BRANCH_PREFIXES)}; it must be a checkpoint of a '
            f'DHMClassifier, its first keys are {list(state_dict)[:3]}'
        )
    # Beside a SideBranchNeck the head is linear; a plain config's may be any.
    of_neck = any(key.startswith(_OF_A_NECK) for key in state_dict)
    needed = 'head.fc.weight' if of_neck else 'backbone.'
    if not any(key.startswith(needed) for key in kept):
        raise CheckpointError(
            f'it has side branches, but no main branch: {needed} is missing'
        )
    return kept
