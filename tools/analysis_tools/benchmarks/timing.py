"""Times several functions, in turns."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from progress import track


@dataclass
class Times:
    """Seconds that a function took, one entry a repetition."""

    seconds: list[float]

    @property
    def median(self) -> float:
        """The median, in seconds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, over the median."""
        if len(self.seconds) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.seconds, n=4)
        return (high - low) / 2 / self.median

    def over_calls(self, calls: int) -> 'Times':
        """Give the time of one of several calls that were timed as one."""
        return Times([seconds / calls for seconds in self.seconds])

    def over(self, other: 'Times') -> 'Ratio':
        """Compare: how many times as long this one took, repetition by repetition."""
        return Ratio([a / b for a, b in zip(self.seconds, other.seconds)])


class Ratio(Times):
    """Ratios of two functions' times; without a unit."""

    def __str__(self) -> str:
        """Show the median and its spread."""
        digits = '.2f' if self.median >= 0.1 else '.4f'
        return f'{self.median:{digits}} ± {self.median * self.spread:{digits}}'


def in_turns(
    functions: Mapping[str, Callable[[], object]], repeats: int, what: str = 'timing'
) -> dict[str, Times]:
    """Time functions one after the other, again and again.

    What slows the machine down for a while slows all of them down. On a GPU, the times
    are those between CUDA events.

    Args:
        functions (Mapping[str, Callable]): What to time. Each is called once before,
            uncounted.
        repeats (int): How often each is timed.
        what (str): What the progress is shown as. Defaults to ``'timing'``.

    Returns:
        dict[str, Times]: Seconds a call.
    """
    times = {name: Times([]) for name in functions}
    turns = [(name, number) for number in range(repeats + 1) for name in functions]
    for name, number in track(turns, what, lambda turn: turn[0]):
        seconds = _seconds(functions[name])
        if number:
            times[name].seconds.append(seconds)
    return times


def _seconds(function: Callable[[], object]) -> float:
    if not torch.cuda.is_available():
        started = time.perf_counter()
        function()
        return time.perf_counter() - started
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    function()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1000
