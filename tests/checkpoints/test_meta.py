import pytest
import torch

from dhm_plugin.checkpoints.meta import read_meta
from hostile import Hostile

CONTENT = dict(meta=dict(seed=5), state_dict=dict(weight=torch.ones(1000)))


@pytest.mark.parametrize('archive', [True, False])
def test_reads_what_a_checkpoint_says(archive, tmp_path):
    path = tmp_path / 'epoch_1.pth'
    torch.save(CONTENT, path, _use_new_zipfile_serialization=archive)
    assert read_meta(path) == dict(seed=5)


@pytest.mark.parametrize('content', [dict(weight=torch.ones(1)), dict(meta=3), [1]])
def test_a_file_that_says_nothing(content, tmp_path):
    torch.save(content, tmp_path / 'weights.pth')
    assert read_meta(tmp_path / 'weights.pth') == {}


def test_no_tensor_is_read(tmp_path, monkeypatch):
    torch.save(CONTENT, tmp_path / 'epoch_1.pth')
    monkeypatch.setattr('dhm_plugin.compat.verify_archive', None)
    assert read_meta(tmp_path / 'epoch_1.pth') == dict(seed=5)


def test_hostile_and_damaged_files_are_refused(tmp_path, capfd):
    path = tmp_path / 'epoch_1.pth'
    torch.save(dict(meta=Hostile()), path)
    with pytest.raises(Exception, match=r'weights_only|Weights only'):
        read_meta(path)
    assert 'hostile code ran' not in capfd.readouterr().out
    torch.save(CONTENT, path)
    data = bytearray(path.read_bytes())
    where = data.index(b'meta')
    data[where : where + 4] = b'\x00\xff\x00\xff'
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r'epoch_1\.pth: is truncated or damaged'):
        read_meta(path)
