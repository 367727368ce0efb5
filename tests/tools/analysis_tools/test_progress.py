import io
import os
import subprocess
import sys

import pytest

import progress
from locks import assert_is_let_go
from progress import Progress, human_time, run_watched, track


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [
        (0, '0 s'),
        (40.4, '40 s'),
        (59.7, '1 min'),
        (200, '3 min'),
        (3599, '1 h 0 min'),
        (4800, '1 h 20 min'),
        (200000, '55 h 33 min'),
    ],
)
def test_human_time(seconds, text):
    assert human_time(seconds) == text


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [0.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: now[0])
    return now


def test_a_log_file_gets_a_line_now_and_then(clock, capsys):
    with Progress('training', 1000) as shown:
        for number in range(1000):
            clock[0] = number
            shown.update(number, f'step {number}')
    out, err = capsys.readouterr()
    assert out == ''
    assert len(err.splitlines()) == 33
    assert err.splitlines()[:2] == [
        'training: step 30, 3%, about 16 min left',
        'training: step 60, 6%, about 16 min left',
    ]


def test_what_is_short_says_nothing(capsys):
    assert list(track(range(5), 'counting')) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ('', '')


def test_time_left_goes_down_between_two_steps(clock):
    with Progress('training', 4) as shown:
        assert shown.left() is None
        clock[0] = 10.0
        shown.update(1)
        assert shown.left() == 30.0
        clock[0] = 25.0
        shown.update(1)
        assert shown.left() == 15.0
        clock[0] = 99.0
        assert shown.left() is None


def test_a_terminal_gets_a_bar(monkeypatch, clock):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, 'stderr', terminal)
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('COLUMNS', '100')
    with Progress('training', 4) as shown:
        clock[0] = 60.0
        shown.update(1, '[a] of 4')
    text = terminal.getvalue()
    assert 'training: [a] of 4' in text
    assert 'about 3 min left' in text
    assert '\x1b[2K' in text.splitlines()[-1]  # the bar is gone at the end


def test_run_watched():
    looks = []
    code = 'import sys, time; time.sleep(0.5); sys.exit(3)'
    assert run_watched([sys.executable, '-c', code], lambda: looks.append(1)) == 3
    assert looks


@pytest.mark.skipif(sys.platform != 'linux', reason='Linux ends it')
def test_what_is_watched_ends_with_the_command_that_watches(tmp_path):
    """Seen: of a benchmark that was killed the training went on, beside the next one."""
    lock = tmp_path / 'lock'
    sleeps = (
        f'import fcntl, time; file = open({str(lock)!r}, "w"); '
        'fcntl.flock(file, fcntl.LOCK_EX); print("locked", flush=True); time.sleep(300)'
    )
    watches = (
        'import sys; from progress import run_watched; '
        f'run_watched([sys.executable, "-c", {sleeps!r}], lambda: None)'
    )
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
    command = [sys.executable, '-W', 'ignore', '-c', watches]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout.readline() == b'locked\n'
        process.kill()
    assert_is_let_go(lock)
