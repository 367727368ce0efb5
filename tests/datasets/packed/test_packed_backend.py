import os
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
    assert fileio.get_text(write(Path(uris[0][9:].partition('#')[0]), [b'ab'])[0]) == 'ab'


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


def test_names_a_damaged_shard(tmp_path, images):
    path = tmp_path / 'train-00003.tar'
    uris = write(path, images)
    content = bytearray(path.read_bytes())
    content[len(images[0]) + 300] ^= 1
    path.write_bytes(content)
    crc = f'{zlib.crc32(images[1]):08x}'
    message = rf'{path}: is damaged in class/1\.JPEG, whose CRC-32 is .* must be {crc}'
    with pytest.raises(PackError, match=message):
        fileio.get(uris[1])
    with pytest.raises(UnidentifiedImageError, match=message):
        LoadImageFromFile()(dict(img_path=uris[1]))
    assert fileio.get(uris[0]) == images[0]
    assert fileio.get(uris[2]) == images[2]


def test_names_a_truncated_shard(tmp_path, images):
    path = tmp_path / 'train-00003.tar'
    uris = write(path, images)
    os.truncate(path, len(images[0]) + 300)
    assert fileio.get(uris[0]) == images[0]
    for uri in uris[1:3]:
        message = rf'{path}: is truncated: it ends before byte \d+, the end of class/\d'
        with pytest.raises(PackError, match=message):
            fileio.get(uri)


def test_names_a_missing_shard_and_what_is_no_place(tmp_path):
    with pytest.raises(FileNotFoundError, match=f'{tmp_path}/a.tar'):
        fileio.get(packed_uri(tmp_path / 'a.tar', 0, 1, 2, 'b'))
    with pytest.raises(PackError, match='must be packed://SHARD#OFFSET'):
        fileio.get('packed://a.tar')
