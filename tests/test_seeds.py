import random

import numpy as np
import torch

from dhm_plugin.seeds import BATCH, EPOCH, ITERATION, TRAINING, VALIDATION, seed_process


def drawn(seed, *point):
    seed_process(seed, *point)
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_the_same_point_has_the_same_numbers():
    first = drawn(1, ITERATION, 5)
    random.random(), np.random.rand(3), torch.rand(2)
    assert drawn(1, ITERATION, 5) == first


def test_any_other_point_or_seed_has_others():
    points = [(1, kind, 5) for kind in (EPOCH, ITERATION, VALIDATION, BATCH)]
    points += [(1, TRAINING), (0, ITERATION, 5), (5, ITERATION, 1), (1, ITERATION, 6)]
    points += [(1, BATCH, 0, 5), (1, BATCH, 5, 0), (2**40, ITERATION, 5)]
    for numbers in zip(*(drawn(*point) for point in points)):
        assert len(set(numbers)) == len(points)
