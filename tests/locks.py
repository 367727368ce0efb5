"""Other processes that hold a lock."""

import fcntl
import os
import signal
import time
from contextlib import contextmanager

import pytest

from dhm_plugin.folder_lock import folder_lock


@contextmanager
def process_in(folder, with_a_worker=False):
    """Let another process work in a folder, with a child that outlives it; its number."""
    read, write = os.pipe()
    other = os.fork()
    if not other:
        lock = folder_lock(folder)
        lock.__enter__()
        worker = os.fork() if with_a_worker else 0
        if worker or not with_a_worker:
            os.write(write, f'{worker:20}'.encode())
        time.sleep(100)
        os._exit(1)
    worker = int(os.read(read, 20))
    try:
        yield other
    finally:
        os.kill(other, signal.SIGKILL)
        os.waitpid(other, 0)
    if worker:
        os.kill(worker, 0)
        # It has nothing to do any more.
        with folder_lock(folder):
            os.kill(worker, signal.SIGKILL)


def assert_is_let_go(path):
    """Assert that whatever holds a file's lock ends within ten seconds."""
    with path.open() as file:
        for _ in range(100):
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.1)
    pytest.fail(f'a process that holds {path} is alive')
