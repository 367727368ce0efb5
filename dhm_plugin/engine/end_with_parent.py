"""Lets a process end when the one that started it does."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Let Linux kill this process when its parent ends, however that ends.

    Linux watches the thread that started this process: torchrun's agent and Python's
    process pools wait for what they start in that thread. On other systems nothing
    happens.
    """
    parent = os.getppid()
    prctl = getattr(ctypes.CDLL(None), 'prctl', None)
    if prctl is None:
        return
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before it was watched
        os.kill(os.getpid(), signal.SIGKILL)
