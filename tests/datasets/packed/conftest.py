import pytest

from small_imagenet import write_folder


@pytest.fixture
def packed(tmp_path):
    """Images in folders, the same images packed, both by their folder."""
    return write_folder(tmp_path / 'images', pack_to=tmp_path / 'packed')
