"""Random numbers that an interrupted and resumed training repeats."""

from typing import ClassVar

import numpy as np
import torch
from mmengine import dist
from mmengine.logging import MessageHub


class IterationSeed:
    """A seed for each training iteration, from the training's seed and the iteration.

    Of several calls in an iteration each gets its own.

    Args:
        each_process (bool): Whether every process has its own. Defaults to False: all
            have the first one's.

    Attributes:
        hub (MessageHub | None): Of the training that runs; it knows seed and iteration.
            None: the one that was made last, which within a training may be a hook's.
    """

    hub: ClassVar[MessageHub | None] = None

    def __init__(self, each_process: bool = False) -> None:
        self.each_process = each_process
        self._iteration, self._calls = -1, 0
        self._own_seed, self._first_seed = None, 0

    def next_sequence(self) -> np.random.SeedSequence:
        """Give the seed of this call in the present iteration."""
        # Without a runner there is one iteration: the calls are what differs.
        info = (IterationSeed.hub or MessageHub.get_current_instance()).runtime_info
        iteration = info.get('iter', 0)
        seed = info.get('seed', torch.initial_seed())
        self._calls = self._calls + 1 if iteration == self._iteration else 0
        self._iteration = iteration
        if self.each_process:
            start = (seed, dist.get_rank())
        else:
            start = (self._seed_of_the_first_process(seed),)
        return np.random.SeedSequence((*start, iteration, self._calls))

    def _seed_of_the_first_process(self, seed: int) -> int:
        """Ask when one's own is new: ``diff_rank_seed`` of MMEngine makes them differ."""
        if self._own_seed != seed:
            self._own_seed = seed
            first = torch.tensor(seed & (2**63 - 1))
            dist.broadcast(first)
            self._first_seed = int(first)
        return self._first_seed
