"""Random numbers that depend on where a training is, not on what it did before.

Whoever draws from the streams of Python, NumPy and PyTorch gets them seeded at certain
points of a training. So nothing has to be kept of them for a training to go on, and what
draws in between, such as a validation or a data loader that starts, changes nothing.
"""

import random

import numpy as np
import torch

# The points; each has streams of its own.
TRAINING, EPOCH, ITERATION, VALIDATION, BATCH = range(5)


def seed_process(seed: int, *point: int) -> None:
    """Seed Python, NumPy and PyTorch, on the CPU and on the GPUs that are in use.

    Args:
        seed (int): The training's.
        *point (int): Which point it is, and numbers that tell it from others of its kind.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=point)
    words = sequence.generate_state(6, np.uint64)
    random.seed(int(words[0]))
    np.random.seed(words[1:5].view(np.uint32))
    number = int(words[5] >> 1)
    # ``torch.manual_seed`` would also remember it, slowly, for GPUs that nobody uses.
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(number)
