"""Which side branches are forked in a training iteration."""

from collections.abc import Sequence

import numpy as np
import torch

from .iteration_seed import IterationSeed


def is_probability(value: object) -> bool:
    """Say whether something can be a ``fork_prob``: a number above 0, at most 1."""
    return isinstance(value, (int, float)) and 0 < value <= 1


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
