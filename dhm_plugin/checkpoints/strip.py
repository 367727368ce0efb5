"""A trained checkpoint without its side branches."""

import torch

from .files import CheckpointError

SIDE_BRANCH_PREFIXES = ('neck.branches.', 'head.side_fcs.', 'side_branches.')


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
    # Of a plain config, the head is the user's: it may have any keys, or none (VGG).
    described = any(key.startswith('head.side_fcs.') for key in state_dict)
    main = 'head.fc.weight' if described else 'backbone.'
    if not any(key.startswith(main) for key in kept):
        raise CheckpointError(
            f'it has side branches, but no main branch: {main} is missing'
        )
    return kept
