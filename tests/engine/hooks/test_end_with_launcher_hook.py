import os
import select
import signal
import sys
import time

import pytest

from dhm_plugin import EndWithLauncherHook

pytestmark = [
    pytest.mark.one_stack,
    pytest.mark.skipif(sys.platform != 'linux', reason='Linux alone can do it'),
]


def alive_after_its_parent(seconds):
    """Whether a process with the hook runs on when the one that started it is killed."""
    reading, writing = os.pipe()
    launcher = os.fork()
    if not launcher:
        try:
            if not os.fork():
                EndWithLauncherHook().before_run(None)
                os.write(writing, b'.')
            time.sleep(seconds)
        finally:
            os._exit(0)
    os.close(writing)
    try:
        assert os.read(reading, 1) == b'.'
        os.kill(launcher, signal.SIGKILL)
        os.waitpid(launcher, 0)
        # It is the last to hold the pipe, which is at its end when it has ended.
        return not select.select([reading], [], [], seconds / 2)[0]
    finally:
        os.close(reading)


def test_ends_with_torchrun(monkeypatch):
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')
    assert not alive_after_its_parent(20)


def test_not_with_another_parent(monkeypatch):
    monkeypatch.delenv('TORCHELASTIC_RUN_ID', raising=False)
    assert alive_after_its_parent(1)
