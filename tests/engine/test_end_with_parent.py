import ctypes
import os
import signal
from types import SimpleNamespace

import pytest

from dhm_plugin.engine.end_with_parent import end_with_parent


@pytest.fixture
def ended(monkeypatch):
    """Run it with a C library and the parents that are seen; give what it kills."""
    found = []
    monkeypatch.setattr(os, 'kill', lambda *of: found.append(of))

    def run(libc, parents):
        monkeypatch.setattr(ctypes, 'CDLL', lambda name: libc)
        monkeypatch.setattr(os, 'getppid', iter(parents).__next__)
        end_with_parent()
        return found

    return run


def test_ends_if_its_parent_has_ended_meanwhile(ended):
    libc = SimpleNamespace(prctl=lambda *options: 0)
    assert ended(libc, [7, 7]) == []
    assert ended(libc, [7, 1]) == [(os.getpid(), signal.SIGKILL)]


def test_does_nothing_where_it_cannot_be_asked_for(ended):
    assert ended(SimpleNamespace(), [7]) == []
