"""Lets branches be forked, and mimic one another, more at one time than at another."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...checked_arguments import checked_arguments, is_number
from ...models import DHMClassifier
from ..utils import network_of

# Shares of the training, and values.
Points = Sequence[tuple[float, float]]


@HOOKS.register_module()
@checked_arguments
class BranchScheduleHook(Hook):
    """Change ``fork_prob`` of the side branches, or ``loss_weight``, with the iterations.

    Each is said by points: a share of the training, from 0 to 1, and the value there.
    Between two points the value changes linearly; before the first and after the last one
    it is theirs. Two points of one share are a step. The value of an iteration depends on
    its number alone, so that a training that goes on repeats it. In evaluation nothing
    changes.

    Args:
        fork_prob (Sequence[tuple[float, float]], optional): Of all side branches, in the
            place of their own, as in :class:`SideBranchNeck`; 0 is possible: a branch is
            then not forked, and weight decay and momentum of its weights go on. Defaults
            to None: their own.
        loss_weight (Sequence[tuple[float, float]], optional): Of the
            :class:`MimickingLoss`, in the place of its own. Defaults to None: its own.

    Raises:
        ValueError: If neither is given, the shares are not in order from 0 to 1, or a
            value is no probability, or negative or not finite.
        TypeError: If the network has no side branches, or no :class:`MimickingLoss`
            whose weight could change.

    Example:
        >>> from dhm_plugin import BranchScheduleHook
        >>> # Forked in the first half alone; the mimicking loss grows until then.
        >>> hook = BranchScheduleHook([(0.5, 1), (0.5, 0)], [(0, 0), (0.5, 1)])
        >>> hook.mean_fork_prob
        0.5
    """

    def __init__(
        self, fork_prob: Points | None = None, loss_weight: Points | None = None
    ) -> None:
        if fork_prob is None and loss_weight is None:
            raise ValueError(
                'BranchScheduleHook: neither fork_prob nor loss_weight is given; give '
                'points, such as loss_weight=[(0, 0), (0.5, 1)]'
            )
        _check('fork_prob', fork_prob, 1)
        _check('loss_weight', loss_weight, math.inf)
        self.fork_prob = fork_prob
        self.loss_weight = loss_weight

    @property
    def mean_fork_prob(self) -> float | None:
        """The mean over the training, or None if it is the branches' own."""
        if self.fork_prob is None:
            return None
        points = [(0, self.fork_prob[0][1]), *self.fork_prob, (1, self.fork_prob[-1][1])]
        return sum(
            (end - begin) * (first + last) / 2
            for (begin, first), (end, last) in itertools.pairwise(points)
        )

    def before_train(self, runner: Runner) -> None:
        """Find what changes."""
        network = network_of(runner)
        if not isinstance(network, DHMClassifier):
            raise TypeError(
                'BranchScheduleHook: the network is a '
                f'{type(network).__name__}, without side branches; it must be a '
                'DHMClassifier'
            )
        self._branches = network.branches_module
        self._loss = network.objective_module.mimicking_loss
        if self.loss_weight is not None:
            if not hasattr(self._loss, 'loss_weight'):
                raise TypeError(
                    'BranchScheduleHook: loss_weight is given, but mimicking_loss is '
                    f'{self._loss}; it must have a loss_weight, as MimickingLoss has'
                )
            # A number would be compiled again whenever it changes.
            self._own_weight = self._loss.loss_weight
            device = next(network.parameters()).device
            self._loss.loss_weight = torch.tensor(float(self._own_weight), device=device)
        self._own_probs = self._branches.fork_probs

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Set the values of this iteration."""
        share = runner.iter / runner.max_iters
        if self.fork_prob is not None:
            prob = _value(self.fork_prob, share)
            self._branches.fork_probs = [prob] * len(self._own_probs)
        if self.loss_weight is not None:
            self._loss.loss_weight.fill_(_value(self.loss_weight, share))

    def after_train(self, runner: Runner) -> None:
        """Give the network its own values back."""
        self._branches.fork_probs = self._own_probs
        if self.loss_weight is not None:
            self._loss.loss_weight = self._own_weight


def _check(name: str, points: Points | None, largest: float) -> None:
    if points is None:
        return
    given = f'BranchScheduleHook: {name}={points}'
    form = 'points (share of the training, value), such as [(0, 0), (0.5, 1)]'
    try:
        shares, values = zip(*points)
        if not all(map(is_number, (*shares, *values))):
            raise TypeError
    except (TypeError, ValueError):
        raise ValueError(f'{given}; it must be a list of {form}') from None
    if not 0 <= shares[0] <= shares[-1] <= 1 or list(shares) != sorted(shares):
        raise ValueError(f'{given}; the shares must be in order, from 0 to 1, of {form}')
    if not all(0 <= value <= largest and value < math.inf for value in values):
        expected = 'a probability' if largest == 1 else '0 or a positive, finite number'
        raise ValueError(f'{given}; each value must be {expected}')


def _value(points: Points, share: float) -> float:
    before = [point for point in points if point[0] <= share]
    after = [point for point in points if point[0] > share]
    if not before or not after:
        return float((before[-1] if before else after[0])[1])
    (begin, first), (end, last) = before[-1], after[0]
    return first + (last - first) * (share - begin) / (end - begin)
