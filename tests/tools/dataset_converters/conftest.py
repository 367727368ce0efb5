import pytest

from small_imagenet import Tars


@pytest.fixture
def tars(tmp_path, monkeypatch):
    """The three archives, small."""
    return Tars(tmp_path / 'tars', monkeypatch)
