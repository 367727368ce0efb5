"""The memory that something takes again and again, with the processes it starts."""

import ctypes
import multiprocessing
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from dhm_plugin.engine.end_with_parent import end_with_parent

MIB = 1024
# Seconds between two looks.
INTERVAL = 0.05
# Proportional shares of the process, in KiB.
_SIZES = re.compile(r'^(?:Pss_Anon|Pss_Shmem|SwapPss): +(\d+)', re.MULTILINE)
# glibc's number of the option, and its first value in bytes.
_MMAP_THRESHOLD = -3, 128 * 1024
# Epochs that are compared, at the beginning and at the end.
_COMPARED = 5


@dataclass
class Memory:
    """Peaks of memory, one a repetition, in MiB."""

    peaks: list[float]

    @property
    def peak(self) -> float:
        """The highest."""
        return max(self.peaks)

    @property
    def growth(self) -> float:
        """The last repetitions' least less the first ones'; the very first warms up."""
        return min(self.peaks[-_COMPARED:]) - min(self.peaks[1 : 1 + _COMPARED])


def measure(make: Callable[[], Callable[[], object]], repeats: int = 20) -> Memory:
    """Run something several times in a process of its own.

    What several of its processes share counts once. Files that are mapped into memory,
    such as libraries, do not: other programs may share them. What the process has
    once all is imported is taken off. Linux only, and free blocks of 128 KiB and more are
    left out where the C library is glibc.

    Args:
        make (Callable): Is called there, and gives what is run. It must be possible to
            pickle it.
        repeats (int): How often it is run. Defaults to 20.

    Returns:
        Memory: Of that process and those that it starts.

    Raises:
        ChildProcessError: If the process ends before it is done.
    """
    spawn = multiprocessing.get_context('spawn')
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_run, args=(make, repeats, theirs))
    process.start()
    theirs.close()
    try:
        return Memory(ours.recv())
    except EOFError:
        raise ChildProcessError(
            'the process whose memory is measured has ended early; see its error above'
        ) from None
    finally:
        process.join()


def _run(make: Callable, repeats: int, connection: Connection) -> None:
    # Beside another benchmark it would take part of what that measures.
    end_with_parent()
    # With glibc's sliding threshold, freed batches leave holes in the heap that it keeps,
    # in some runs hundreds of MiB.
    set_option = getattr(ctypes.CDLL(None), 'mallopt', None)
    if set_option is not None:
        set_option(*_MMAP_THRESHOLD)
    # What it starts forks, as usual, and does not import all again.
    multiprocessing.set_start_method('fork', force=True)
    before = _now()
    run = make()
    connection.send([peak_of(run, _now, INTERVAL) - before for _ in range(repeats)])


def peak_of(
    run: Callable[[], object], now: Callable[[], float], interval: float
) -> float:
    """Run something, and look at its memory meanwhile.

    Args:
        run (Callable): What is run.
        now (Callable): Gives the memory.
        interval (float): Seconds between two looks.

    Returns:
        float: The most that ``now`` gave.
    """
    peak, done = now(), threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(interval):
            peak = max(peak, now())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run()
    finally:
        done.set()
        watcher.join()
    return max(peak, now())


def _now() -> float:
    """Give the memory of this process and its children, in MiB."""
    children = [child.pid for child in multiprocessing.active_children()]
    total = 0
    for process in ('self', *children):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            sizes = Path(f'/proc/{process}/smaps_rollup').read_text()
            total += sum(map(int, _SIZES.findall(sizes)))
    return total / MIB
