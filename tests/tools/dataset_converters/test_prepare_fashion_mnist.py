import gzip
from pathlib import Path

import numpy as np
import pytest
from mmengine import Config
from mmpretrain.registry import DATASETS

from paths import ROOT, free_port

PREPARE = ROOT / 'tools/dataset_converters/prepare_fashion_mnist.py'
DEBIAN = Path('/usr/share/datasets/fashion-mnist')


@pytest.mark.skipif(not DEBIAN.is_dir(), reason='dataset-fashion-mnist is not installed')
def test_configs_find_what_it_writes(python, tmp_path):
    output = python(PREPARE, DEBIAN, '--out', tmp_path)
    assert f'{tmp_path}: 60000 training and 10000 test images' in output
    cfg = Config.fromfile(ROOT / 'configs/plain/resnet20_1xb128_fmnist.py')
    config = cfg.train_dataloader.dataset
    config.dataset.data_root = str(tmp_path)
    train = DATASETS.build(config)
    config = cfg.val_dataloader.dataset
    config.data_root = str(tmp_path)
    test = DATASETS.build(config)
    assert (len(train), len(test)) == (60000, 10000)
    pixels = train.images.numpy()
    np.testing.assert_allclose(pixels.mean(), cfg.data_preprocessor.mean[0], atol=0.01)
    np.testing.assert_allclose(pixels.std(), cfg.data_preprocessor.std[0], atol=0.01)
    assert np.bincount(train.labels).tolist() == [6000] * 10
    assert (
        np.bincount([test.get_data_info(i)['gt_label'] for i in range(10000)]).tolist()
        == [1000] * 10
    )


def test_refuses_other_files(inline, tmp_path):
    source, out = tmp_path / 'source', tmp_path / 'out'
    source.mkdir()
    (source / 'train-images-idx3-ubyte.gz').write_bytes(gzip.compress(b'no images'))
    output = inline(PREPARE, source, '--out', out, code=1)
    assert 'train-images-idx3-ubyte.gz: is not the file of Fashion-MNIST' in output
    assert list(out.iterdir()) == []
    output = inline(PREPARE, tmp_path / 'nowhere', '--out', out, code=1)
    assert 'nowhere/train-images-idx3-ubyte.gz' in output


@pytest.mark.parametrize('damage', ['cut', 'changed', 'checksum', 'no header'])
def test_names_a_damaged_file(damage, inline, tmp_path):
    name = 'train-images-idx3-ubyte.gz'
    content = bytearray(gzip.compress(bytes(range(256)) * 9, compresslevel=1))
    if damage == 'cut':
        del content[len(content) // 2 :]
    else:
        content[{'changed': 30, 'checksum': -6, 'no header': 0}[damage]] ^= 255
    (tmp_path / name).write_bytes(content)
    output = inline(PREPARE, tmp_path, '--out', tmp_path / 'out', code=1)
    assert f'{tmp_path / name}: is damaged: ' in output
    assert 'Traceback' not in output


@pytest.mark.parametrize('content', [b'', b'\0\0\x08\x03cut'])
def test_names_the_rest_of_a_killed_download(content, inline, tmp_path):
    path = tmp_path / 'train-images-idx3-ubyte'
    path.write_bytes(content)
    output = inline(PREPARE, '--out', tmp_path, code=1)
    assert f'{path}: is not the file of Fashion-MNIST' in output
    assert output.strip().endswith('; remove it, and start again')


def test_a_file_in_the_place_of_the_folder(inline, tmp_path):
    (tmp_path / 'file').touch()
    output = inline(PREPARE, '--out', tmp_path / 'file', code=1)
    assert (
        f"prepare_fashion_mnist.py: [Errno 17] File exists: '{tmp_path}/file'" in output
    )


def test_without_a_network_it_asks_for_a_folder(inline, tmp_path, monkeypatch):
    closed = f'http://127.0.0.1:{free_port()}/'
    monkeypatch.setattr('mmpretrain.datasets.FashionMNIST.url_prefix', closed)
    output = inline(PREPARE, '--out', tmp_path, code=1)
    assert f'{closed}: ' in output
    assert 'name a folder that has the files' in output
