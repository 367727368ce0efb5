"""The plain network's own curve: its accuracy over the FLOPs of its training."""

import math
import statistics
from collections.abc import Sequence

import numpy as np

from .results import values


def on_curve(
    rows: Sequence[dict[str, str]], config: str, lengths: Sequence[str]
) -> dict[int, float]:
    """Give what the curve has at the cost of a training.

    Args:
        rows (Sequence[dict[str, str]]): Of the CSV file of a study.
        config (str): Name of the config whose trainings cost so much.
        lengths (Sequence[str]): Names of the configs that are points of the curve: one
            network, trained for different lengths.

    Returns:
        dict[int, float]: Seed to accuracy, on the line between the points of that seed
        over the logarithm of the FLOPs; none outside the curve, and none for seeds that
        lack a point.
    """
    flops = {
        name: statistics.mean(of_name.values())
        for name in (config, *lengths)
        if (of_name := values(rows, name, 'flops'))
    }
    points = sorted((name for name in lengths if name in flops), key=flops.get)
    if config not in flops or len(points) < 2:
        return {}
    costs = [math.log(flops[name]) for name in points]
    cost = math.log(flops[config])
    # Of two counts that should be equal one may be larger by an iteration.
    if not costs[0] - 1e-3 <= cost <= costs[-1] + 1e-3:
        return {}
    accuracies = [values(rows, name) for name in points]
    seeds = set.intersection(*map(set, accuracies))
    return {
        seed: float(np.interp(cost, costs, [of[seed] for of in accuracies]))
        for seed in sorted(seeds)
    }
