"""What the tests of studies share."""

import itertools
from concurrent.futures import Future

import pytest

_numbers = itertools.count()


class _Here:
    """Trains at once and in this process, where a pool has processes that start."""

    def __init__(self, jobs):
        self.jobs = jobs

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def submit(self, train, name, *arguments):
        future = Future()
        try:
            # MMEngine keeps loggers by name, and this process has those of other tests.
            future.set_result(train(f'{name}_{next(_numbers)}', *arguments))
        except RuntimeError as error:
            future.set_exception(error)
        return future


@pytest.fixture
def trains_here(monkeypatch):
    """Let studies train in this process; ``test_worker.py`` has those of their own."""
    monkeypatch.setattr('studies.run.workers', _Here)
