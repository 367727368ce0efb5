"""Another process that works in a folder."""

import os
import signal
import time
from contextlib import contextmanager

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
