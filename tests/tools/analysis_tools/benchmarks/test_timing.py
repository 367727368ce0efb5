import time

import pytest

import progress
from benchmarks.timing import Ratio, Times, in_turns


def test_takes_turns_and_warms_up():
    calls = []
    times = in_turns({'a': lambda: calls.append('a'), 'b': lambda: calls.append('b')}, 3)
    assert ''.join(calls) == 'ab' + 3 * 'ab'
    assert [len(t.seconds) for t in times.values()] == [3, 3]


def test_shows_what_is_timed(monkeypatch, capsys):
    monkeypatch.setattr(progress, 'LINES', 0)
    in_turns({'a': int, 'b': int}, 1, what='steps')
    lines = [line.split(', about')[0] for line in capsys.readouterr().err.splitlines()]
    assert lines == ['steps: a, 0%', 'steps: b, 25%', 'steps: a, 50%', 'steps: b, 75%']


def test_measures_seconds_a_call():
    times = in_turns({'sleep': lambda: time.sleep(0.01)}, 3)
    assert 0.01 <= times['sleep'].median < 0.02


def test_median_spread_and_ratio():
    slow, fast = Times([4.0, 2.0, 6.0, 8.0, 100.0]), Times([2.0, 1.0, 3.0, 4.0, 10.0])
    assert slow.median == 6.0
    assert Times([1.0]).spread == 0.0
    ratio = slow.over(fast)
    assert isinstance(ratio, Ratio)
    assert ratio.seconds == [2.0, 2.0, 2.0, 2.0, 10.0]
    assert str(ratio).startswith('2.00 ± ')
    assert slow.spread == pytest.approx((54 - 3) / 2 / 6)


def test_of_several_calls_timed_as_one():
    assert Times([4.0, 8.0]).over_calls(4).seconds == [1.0, 2.0]
