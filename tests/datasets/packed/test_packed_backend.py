import gc
import os
import sys
import zlib
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from mmcv import transforms
from mmengine import fileio
from PIL import UnidentifiedImageError

from dhm_plugin import LoadImageFromFile, LoadRandomResizedCrop
from dhm_plugin.datasets.packed import packed_backend
from dhm_plugin.datasets.packed.index import PackError
from dhm_plugin.datasets.packed.packed_backend import packed_uri
from small_imagenet import jpeg


def write(path, images):
    """Write images one after the other; give where each is."""
    uris, content = [], b''
    for i, image in enumerate(images):
        name = f'class/{i}.JPEG'
        uris.append(packed_uri(path, len(content), len(image), zlib.crc32(image), name))
        content += image
    path.write_bytes(content)
    return uris


@pytest.fixture
def images():
    return [jpeg(i, size=(40 + i, 50)) for i in range(6)]


@pytest.fixture
def uris(tmp_path, images):
    return write(tmp_path / 'it has #1+2 and / -00000.tar'.replace(' / ', ''), images)


def test_gives_each_image(uris, images):
    assert [fileio.get(uri) for uri in uris] == images
    text = 'äb'
    uri = write(Path(uris[0][9:].partition('#')[0]), [text.encode()])[0]
    assert fileio.get_text(uri) == text
    assert fileio.get_text(uri, 'latin-1') == text.encode().decode('latin-1')


def test_a_name_may_look_like_a_place(tmp_path):
    path = tmp_path / 'a.tar'
    path.write_bytes(b'ab')
    name = 'it has\n#1+2:00000000/and more'
    assert fileio.get(packed_uri(path, 0, 2, zlib.crc32(b'ab'), name)) == b'ab'


@pytest.mark.parametrize(
    'transform',
    [
        transforms.LoadImageFromFile(),
        transforms.LoadImageFromFile(imdecode_backend='pillow'),
        LoadImageFromFile(),
        LoadRandomResizedCrop(32),
    ],
    ids=lambda transform: type(transform).__module__,
)
def test_transforms_read_it_as_a_file(transform, uris, images, tmp_path):
    for i, uri in enumerate(uris):
        path = tmp_path / f'{i}.JPEG'
        path.write_bytes(images[i])
        found = []
        for place in (uri, str(path)):
            np.random.seed(i)
            found.append(transform(dict(img_path=place))['img'])
        np.testing.assert_array_equal(*found)


def test_many_processes_and_threads_read_one_shard(uris, images):
    fileio.get(uris[0])  # a fork has the open file; its place is not shared
    several = uris * 50
    for pool in (
        ProcessPoolExecutor(2, get_context('fork')),
        ThreadPoolExecutor(4),
    ):
        with pool:
            assert list(pool.map(fileio.get, several, chunksize=7)) == images * 50


def test_few_shards_stay_open(tmp_path):
    before = len(os.listdir('/proc/self/fd'))
    uris = [write(tmp_path / f'{i}.tar', [b'%d' % i])[0] for i in range(400)]
    for _ in range(2):
        assert [fileio.get(uri) for uri in uris] == [b'%d' % i for i in range(400)]
    assert len(os.listdir('/proc/self/fd')) <= before + 256


def test_shards_stay_open(tmp_path, monkeypatch):
    uris = [write(tmp_path / f'{i}.tar', [b'%d' % i])[0] for i in range(200)]
    opened, os_open = [], os.open
    monkeypatch.setattr(os, 'open', lambda *args: opened.append(args) or os_open(*args))
    for uri in uris * 2:
        fileio.get(uri)
    assert len(opened) == 200


def test_a_shard_stays_open_while_it_is_read(uris, images, monkeypatch):
    pread = os.pread

    def slow_pread(*args):
        packed_backend._opened.cache_clear()  # as another thread does in the meantime
        return pread(*args)

    monkeypatch.setattr(os, 'pread', slow_pread)
    assert [fileio.get(uri) for uri in uris] == images


def test_names_a_damaged_shard(tmp_path, images):
    path = tmp_path / 'train-00003.tar'
    uris = write(path, images)
    content = bytearray(path.read_bytes())
    start, end = len(images[0]), len(images[0]) + len(images[1])
    rng, found = np.random.default_rng(0), 1 << 32
    while found >> 24:  # until it begins with two zeros
        content[start + 300 : start + 304] = rng.bytes(4)
        found = zlib.crc32(content[start:end])
    path.write_bytes(content)
    crc = f'{zlib.crc32(images[1]):08x}'
    message = (
        rf'{path}: is damaged in class/1\.JPEG, whose CRC-32 is {found:08x} and must be '
        f'{crc}; remove the shard'
    )
    with pytest.raises(PackError, match=message):
        fileio.get(uris[1])
    with pytest.raises(UnidentifiedImageError, match=message):
        LoadImageFromFile()(dict(img_path=uris[1]))
    assert fileio.get(uris[0]) == images[0]
    assert fileio.get(uris[2]) == images[2]


def test_names_a_truncated_shard(tmp_path, images):
    path = tmp_path / 'train-00003.tar'
    uris = write(path, images)
    ends = np.cumsum([len(image) for image in images])
    os.truncate(path, ends[1] - 1)
    assert fileio.get(uris[0]) == images[0]
    for i in (1, 2):
        end = f'it ends before byte {ends[i]}, the end of class/{i}'
        with pytest.raises(PackError, match=f'{path}: is truncated: {end}'):
            fileio.get(uris[i])


def test_names_a_missing_shard_and_what_is_no_place(tmp_path, monkeypatch):
    in_vain = []
    monkeypatch.setattr(sys, 'unraisablehook', in_vain.append)
    with pytest.raises(FileNotFoundError, match=f'{tmp_path}/a.tar'):
        fileio.get(packed_uri(tmp_path / 'a.tar', 0, 1, 2, 'b'))
    gc.collect()
    assert not in_vain  # there is no file to close
    with pytest.raises(PackError, match='must be packed://SHARD#OFFSET'):
        fileio.get('packed://a.tar')
    with pytest.raises(PackError, match='must be packed://SHARD#OFFSET'):
        fileio.get(Path('a.tar'), backend_args=dict(backend='packed'))
