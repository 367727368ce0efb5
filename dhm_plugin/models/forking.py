"""Which side branches are forked in a training iteration."""

from collections.abc import Sequence

import numpy as np
import torch

from ..checked_arguments import is_number
from .iteration_seed import IterationSeed


def check_fork_prob(where: str, branch: dict) -> None:
    """Check the ``fork_prob`` of a branch's config.

    Args:
        where (str): Which branch it is, for the message.
        branch (dict): Its config.

    Raises:
        ValueError: If it is no number above 0 and at most 1.
    """
    prob = branch.get('fork_prob', 1.0)
    if not is_number(prob) or not 0 < prob <= 1:
        raise ValueError(
            f'{where} has fork_prob={prob!r}; it must be a probability, above 0 and at '
            'most 1; leave out a branch that is never forked'
        )


@torch.compiler.disable
def draw_forks(probs: Sequence[float], seed: IterationSeed) -> list[bool]:
    """Decide which side branches are forked in this training iteration.

    Args:
        probs (Sequence[float]): Probability of each.
        seed (IterationSeed): Of the iteration; the same on all processes.

    Returns:
        list[bool]: One a side branch; of the same seed and iteration the same on all
        processes.
    """
    numbers = np.random.default_rng(seed.next_sequence()).random(len(probs))
    return (numbers < probs).tolist()
