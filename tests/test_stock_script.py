"""Errors of MMPretrain's scripts in one line; test_train.py has those of trainings."""

import pytest

from dhm_plugin import stock_script


@pytest.mark.parametrize(
    ('error', 'said'),
    [
        ("FileNotFoundError('first line\\nno such file: a.pth')", 'no such file: a.pth'),
        ('FileNotFoundError()', 'FileNotFoundError()'),
    ],
)
def test_the_last_line_of_the_error_is_said(error, said, tmp_path, monkeypatch):
    script = tmp_path / 'train.py'
    script.write_text(f'raise {error}')
    lines = []
    monkeypatch.setattr(stock_script, 'print_log', lambda line, **_: lines.append(line))
    with pytest.raises(SystemExit, match='1'):
        stock_script.run_stock(str(script))
    assert lines == [said]


def test_other_errors_keep_their_traceback(tmp_path):
    script = tmp_path / 'train.py'
    script.write_text('raise KeyError("model")')
    with pytest.raises(KeyError):
        stock_script.run_stock(str(script))
