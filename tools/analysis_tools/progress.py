"""Shows how far a long command is, and how long it still takes."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from rich import progress
from rich.console import Console

from dhm_plugin.engine.end_with_parent import end_with_parent

# Seconds between two lines where there is no terminal.
LINES = 30.0
T = TypeVar('T')


class Progress:
    """A bar on a terminal; elsewhere, as in a log file, a line now and then.

    It is written to standard error: standard output has the results alone. It has no
    thread: nothing runs beside what is measured.

    Args:
        what (str): What is done.
        total (float): How much of it there is.
    """

    def __init__(self, what: str, total: float) -> None:
        self.what, self.total = what, total
        self._console = Console(stderr=True, soft_wrap=True)
        terminal = self._console.is_terminal and not self._console.is_dumb_terminal
        self._bar = progress.Progress(
            progress.TextColumn('{task.description}', markup=False),
            progress.BarColumn(),
            progress.TextColumn('{task.fields[left]}', markup=False),
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
            disable=not terminal,
        )
        self._done = 0.0
        self._started = self._changed = self._line = time.monotonic()

    def __enter__(self) -> 'Progress':
        """Show the bar."""
        self._bar.start()
        self._task = self._bar.add_task(self.what, total=self.total, left='')
        return self

    def __exit__(self, *error: object) -> None:
        """Take the bar away."""
        self._bar.stop()

    def update(self, done: float, doing: str = '') -> None:
        """Show how far it is.

        Args:
            done (float): How much of the total is done.
            doing (str): What is in hand. Defaults to nothing.
        """
        now = time.monotonic()
        if done != self._done:
            self._done, self._changed = done, now
        text = f'{self.what}: {doing}' if doing else self.what
        left = self.left()
        left = f'about {human_time(left)} left' if left else ''
        self._bar.update(
            self._task, completed=done, description=text, left=left, refresh=True
        )
        if self._bar.disable and now - self._line >= LINES:
            self._line = now
            parts = [text, f'{done / self.total:.0%}', *filter(None, [left])]
            print(', '.join(parts), file=sys.stderr, flush=True)

    def left(self) -> float | None:
        """Estimate the seconds left; None if it is not known."""
        if not self._done:
            return None
        each = (self._changed - self._started) / self._done
        passed = time.monotonic() - self._changed
        left = each * (self.total - self._done) - passed
        return left if left > 1 else None


def track(items: Sequence[T], what: str, name: Callable[[T], str] = str) -> Iterator[T]:
    """Go through items, and show how far.

    Args:
        items (Sequence): The items.
        what (str): What is done with them.
        name (Callable): Names an item. Defaults to ``str``.

    Yields:
        One item after the other.
    """
    with Progress(what, len(items)) as shown:
        for number, item in enumerate(items):
            shown.update(number, name(item))
            yield item


def run_watched(command: Sequence[str], watch: Callable[[], None], **options) -> int:
    """Run a command, and look how far it is three times a second.

    However this process ends, it ends too (Linux): beside another benchmark it would
    take part of what that measures.

    Args:
        command (Sequence[str]): The command line.
        watch (Callable): Called again and again while it runs.
        **options: Of ``subprocess.Popen``.

    Returns:
        int: Its exit code.
    """
    with subprocess.Popen(command, preexec_fn=end_with_parent, **options) as process:
        try:
            while process.poll() is None:
                watch()
                time.sleep(0.3)
        except BaseException:
            process.kill()
            raise
    return process.returncode


def human_time(seconds: float) -> str:
    """Write a duration for people.

    Args:
        seconds (float): The duration.

    Returns:
        str: In seconds, minutes, or hours and minutes.

    Examples:
        >>> human_time(40.2), human_time(200), human_time(4800)
        ('40 s', '3 min', '1 h 20 min')
    """
    if round(seconds) < 60:
        return f'{seconds:.0f} s'
    hours, minutes = divmod(round(seconds / 60), 60)
    return f'{hours} h {minutes} min' if hours else f'{minutes} min'
