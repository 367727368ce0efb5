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
        CheckpointError: If there is no side branch in it, or a part of the main branch.
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
    missing = [key for key in _of_main_branch(state_dict) if key not in kept]
    if missing:
        raise CheckpointError(
            'it has side branches, but of its main branch are missing '
            f'{", ".join(missing[:3])}{" ..." if len(missing) > 3 else ""}'
        )
    return kept


def _of_main_branch(state_dict: dict[str, torch.Tensor]) -> list[str]:
    """List keys that the main branch must have, for the side branches have such."""
    if any(key.startswith('head.side_fcs.') for key in state_dict):
        return ['head.fc.weight', 'head.fc.bias']
    # A derived branch is made of the network's modules.
    branches = (key.split('.', 2) for key in state_dict)
    keys = dict.fromkeys(key[2] for key in branches if key[0] == 'side_branches')
    # VGG's and AlexNet's classifier is in the backbone, and their branches' is a head.
    own = any(key.startswith('backbone.classifier.') for key in state_dict)
    return [key for key in keys if not (own and key.startswith('head.'))]
