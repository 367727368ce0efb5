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


def test_without_a_network_it_asks_for_a_folder(inline, tmp_path, monkeypatch):
    closed = f'http://127.0.0.1:{free_port()}/'
    monkeypatch.setattr('mmpretrain.datasets.FashionMNIST.url_prefix', closed)
    output = inline(PREPARE, '--out', tmp_path, code=1)
    assert f'{closed}: ' in output
    assert 'name a folder that has the files' in output
