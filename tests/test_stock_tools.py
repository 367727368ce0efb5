from pathlib import Path

import mmpretrain
import pytest

from dhm_plugin.stock_tools import stock_tool


def test_finds_mmpretrains_own():
    assert 'Train a model' in Path(stock_tool('train.py')).read_text()


def test_says_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setattr(mmpretrain, '__file__', str(tmp_path / '__init__.py'))
    with pytest.raises(FileNotFoundError, match='without its tools; install it from its'):
        stock_tool('train.py')
