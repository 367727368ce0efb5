"""Random numbers that an interrupted and resumed training repeats."""

import numpy as np
import torch
from mmengine import dist
from mmengine.logging import MessageHub


class IterationSeed:
    """A seed for each training iteration, of the training's seed and the iteration alone.

    Args:
        each_process (bool): Whether every process has its own. Defaults to False: all
            have the first one's.
    """

    def __init__(self, each_process: bool = False) -> None:
        self.each_process = each_process
        self._iteration, self._calls = -1, 0
        self._own, self._first = None, 0

    def sequence(self) -> np.random.SeedSequence:
        """Give the seed of the present iteration; of each call in it, another one."""
        # Without a runner, or where an iteration has several batches, calls are counted.
        iteration = MessageHub.get_current_instance().runtime_info.get('iter', 0)
        self._calls = self._calls + 1 if iteration == self._iteration else 0
        self._iteration = iteration
        if self.each_process:
            start = (torch.initial_seed(), dist.get_rank())
        else:
            start = (self._seed_of_the_first_process(),)
        return np.random.SeedSequence((*start, iteration, self._calls))

    def _seed_of_the_first_process(self) -> int:
        """Ask once: with MMEngine's ``diff_rank_seed`` every process has its own."""
        if self._own != torch.initial_seed():
            self._own = torch.initial_seed()
            first = torch.tensor(self._own & (2**63 - 1))
            dist.broadcast(first)
            self._first = int(first)
        return self._first
