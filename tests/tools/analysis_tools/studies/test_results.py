import csv

from studies import results


def test_csv_keeps_every_row(rows, tmp_path):
    with (tmp_path / 'results.csv').open() as file:
        header = next(csv.reader(file))
    assert header[:7] == [
        'config',
        'seed',
        'epochs',
        'seconds',
        'main',
        'side0',
        'ensemble',
    ]
    assert [(row['seed'], row['config']) for row in rows] == [
        ('0', 'plain'),
        ('0', 'dhm'),
        ('1', 'plain'),
        ('1', 'dhm'),
        ('2', 'plain'),
    ]
    assert results.values(rows, 'plain') == {0: 90.0, 1: 91.0, 2: 95.0}
    assert results.values(rows, 'plain', 'side0') == {}
    assert results.values(rows, 'dhm', 'side0') == {0: 80.0, 1: 81.0}
