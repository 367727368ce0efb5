import pickle
import random
import warnings
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import torch
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner import load_checkpoint

from dhm_plugin import archive
from dhm_plugin.archive import DamagedArchive, verify_archive
from dhm_plugin.checkpoints import CheckpointError, read_state_dict

WEIGHTS = dict(weight=torch.arange(64.0).view(2, 32), bias=torch.ones(2))


def through_mmengine(path):
    layer = torch.nn.Linear(32, 2)
    load_checkpoint(layer, str(path), strict=True)
    return layer.state_dict()


def through_ours(path):
    return read_state_dict(path)[0]


def same(weights):
    return weights.keys() == WEIGHTS.keys() and all(
        torch.equal(weights[key], value) for key, value in WEIGHTS.items()
    )


def rewrite(path, change):
    """Write the weights, each entry as ``change`` gives name, content, compression."""
    whole = path.with_name('whole.pth')
    torch.save(WEIGHTS, whole)
    with zipfile.ZipFile(whole) as stored, zipfile.ZipFile(path, 'w') as other:
        for name in stored.namelist():
            other.writestr(*change(name, stored.read(name)))
    # PyTorch alone reads it.
    assert same(torch.load(path, weights_only=True))


@pytest.mark.parametrize('read', [through_mmengine, through_ours])
def test_a_compressed_archive_is_not_unpacked(read, tmp_path):
    """Seen: 292 kB became a tensor of 300 MB."""
    path = tmp_path / 'small.pth'
    rewrite(path, lambda name, content: (name, content, zipfile.ZIP_DEFLATED))
    with pytest.raises(ValueError, match=r'small\.pth: is truncated or .* is compressed'):
        read(path)


@pytest.mark.parametrize('read', [through_mmengine, through_ours])
def test_a_tensor_is_no_code_whatever_it_is_called(read, tmp_path):
    """The pickle chooses its name. Code is compressed, and not loaded."""

    def change(name, content):
        if name.endswith('/data.pkl'):
            key = b'X\x01\0\0\x000'
            assert key in content
            return name, content.replace(key, b'X\x08\0\0\0x/code/0'), zipfile.ZIP_STORED
        if name.endswith('/data/0'):
            return name[:-1] + 'x/code/0', content, zipfile.ZIP_DEFLATED
        return name, content, zipfile.ZIP_STORED

    path = tmp_path / 'small.pth'
    rewrite(path, change)
    with pytest.raises(ValueError, match=r'in whole/data/x/code/0 \(it is compressed'):
        read(path)


@pytest.mark.parametrize('read', [through_mmengine, through_ours])
@pytest.mark.parametrize(
    'content', [WEIGHTS, dict(state_dict=WEIGHTS, meta=dict(epoch=1))]
)
def test_a_flipped_bit_does_not_change_what_is_read(content, read, tmp_path):
    whole, path = tmp_path / 'whole.pth', tmp_path / 'damaged.pth'
    torch.save(content, whole)
    assert same(read(whole))
    data = whole.read_bytes()
    rng = random.Random(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(data)
        bit = rng.randrange(8 * len(data))
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            with warnings.catch_warnings(action='ignore'):
                weights = read(path)
        except (ValueError, RuntimeError, pickle.UnpicklingError):
            refused += 1
        else:
            assert same(weights), f'bit {bit}'
    assert refused > 20


def test_names_the_file_and_the_entry(tmp_path):
    path = tmp_path / 'damaged.pth'
    torch.save(WEIGHTS, path)
    data = path.read_bytes()
    number = WEIGHTS['weight'].numpy().tobytes()
    assert number in data
    path.write_bytes(data.replace(number, number[:-1] + b'\0'))
    message = r'damaged.pth: is truncated or damaged, in \S+/data/0 \(Bad CRC-32.*earlier'
    with pytest.raises(DamagedArchive, match=message):
        verify_archive(path)
    with pytest.raises(CheckpointError, match=message):
        read_state_dict(path)


def test_damage_behind_the_first_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, '_CHUNK', 1 << 12)
    numbers, path = torch.arange(4096.0), tmp_path / 'damaged.pth'
    torch.save(dict(x=numbers), path)
    data = bytearray(path.read_bytes())
    data[data.index(numbers.numpy().tobytes()) + 4 * 4095] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedArchive):
        verify_archive(path)


def test_a_damaged_mark_of_an_archive(tmp_path):
    path = tmp_path / 'damaged.pth'
    torch.save(WEIGHTS, path)
    data = bytearray(path.read_bytes())
    data[2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedArchive):
        verify_archive(path)


def test_in_the_home_folder(tmp_path, monkeypatch):
    """MMEngine replaces the tilde."""
    monkeypatch.setenv('HOME', str(tmp_path))
    torch.save(WEIGHTS, tmp_path / 'damaged.pth')
    data = bytearray((tmp_path / 'damaged.pth').read_bytes())
    data[data.index(WEIGHTS['weight'].numpy().tobytes()) + 8] ^= 1
    (tmp_path / 'damaged.pth').write_bytes(data)
    with pytest.raises(DamagedArchive):
        load_checkpoint(torch.nn.Linear(32, 2), '~/damaged.pth')


def test_from_an_address(tmp_path, monkeypatch):
    """PyTorch keeps what it downloads, the damaged file too."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    torch.save(WEIGHTS, tmp_path / 'whole.pth')
    data = bytearray((tmp_path / 'whole.pth').read_bytes())
    data[data.index(WEIGHTS['weight'].numpy().tobytes()) + 8] ^= 1
    (tmp_path / 'damaged.pth').write_bytes(data)
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    server = ThreadingHTTPServer(('127.0.0.1', 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f'http://127.0.0.1:{server.server_port}'
    try:
        assert same(through_mmengine(f'{address}/whole.pth?of=today'))
        message = r'home/\S+/damaged\.pth: is truncated or damaged'
        with pytest.raises(DamagedArchive, match=message):
            through_mmengine(f'{address}/damaged.pth')
        with pytest.raises(DamagedArchive, match='another/damaged'):
            mmengine_checkpoint.load_url(
                f'{address}/damaged.pth', str(tmp_path / 'another')
            )
    finally:
        server.shutdown()
        server.server_close()


def test_what_has_no_checksums_passes(tmp_path):
    path = tmp_path / 'older.pth'
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=False)
    verify_archive(path)
    assert same(through_ours(path))
