"""Lets no two processes work in one folder."""

import errno
import fcntl
import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

_NAME = '.lock'

# By process and folder: the open file, and how often it is held.
_held: dict[tuple[int, Path], tuple[TextIO, list]] = {}


class FolderInUse(RuntimeError):
    """A folder in which another process works; the message names it."""


@contextmanager
def folder_lock(folder: str | Path) -> Iterator[None]:
    """Work in a folder alone.

    The operating system gives the lock back when its process ends, however that happens.
    Workers that outlive a killed training hold nothing. One process may hold it several
    times, and read, copy or archive the folder.

    Args:
        folder (str | Path): The folder; it is made if there is none. It gets a file
            ``.lock``, which stays there.

    Raises:
        FolderInUse: If another process holds it.
    """
    key = os.getpid(), Path(folder).resolve()
    if key not in _held:
        _held[key] = _locked(key[1]), []
    file, holders = _held[key]
    holder = object()
    holders.append(holder)
    try:
        yield
    finally:
        holders.remove(holder)
        if not holders:
            del _held[key]
            file.close()


def _let_go() -> None:
    """Close what a process has inherited, which its parent still holds."""
    for file, _ in _held.values():
        file.close()


os.register_at_fork(after_in_child=_let_go)


def _locked(folder: Path) -> TextIO:
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / _NAME).open('a+')
    try:
        # Not lockf, whose lock goes with the first file of this name that is closed.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            with file:
                file.seek(0)
                holder = file.read().strip() or 'another process'
            raise FolderInUse(
                f'{folder}: in use by {holder}; wait for its end, or take another folder'
            ) from error
        warnings.warn(
            f'{folder}: this file system has no locks ({error}); nothing prevents a '
            'second process from working here',
            stacklevel=2,
        )
    since = time.strftime('%Y-%m-%d %H:%M:%S')
    file.truncate(0)
    file.write(f'process {os.getpid()} on {socket.gethostname()} since {since}\n')
    file.flush()
    return file
