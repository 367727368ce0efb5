import pytest

from benchmarks import report
from benchmarks.timing import Times


def test_table():
    fast, slow = Times([0.01] * 3), Times([2.0] * 3)
    rows = [
        {'name': 'fast', 'time': fast, 'ratio': slow.over(fast), 'images/s': 1234.5},
        {'name': 'slow', 'time': slow, 'ratio': slow.over(slow), 'images/s': 0.5},
    ]
    assert report.table(rows).splitlines() == [
        '| name | time | ratio | images/s |',
        '| --- | --- | --- | --- |',
        '| fast | 10 ms ± 0% | 200.00 ± 0.00 | 1,234 |',
        '| slow | 2 s ± 0% | 1.00 ± 0.00 | 0.5 |',
    ]
    assert report.plain_numbers(rows)[0] == {
        'name': 'fast',
        'time': [0.01] * 3,
        'ratio': [200.0] * 3,
        'images/s': 1234.5,
    }


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (Times([0.99951] * 3), '1 s ± 0%'),
        (Times([0.9994] * 3), '999 ms ± 0%'),
        (Times([1234.0] * 3), '1,234 s ± 0%'),
        (999.7, '1,000'),
        (999.4, '999'),
    ],
)
def test_no_number_has_an_exponent(value, text):
    assert text in report.table([{'x': value}])


def test_machine_names_the_versions():
    assert 'PyTorch 2.' in report.machine()
    assert 'threads; Python 3.' in report.machine()
