from urllib.error import URLError

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmengine.runner import Runner
from mmpretrain.datasets import CustomDataset, mnist
from mmpretrain.registry import DATASETS

from dhm_plugin import Digits, InMemoryDataset

INFO = dict(img=np.zeros((8, 8), np.uint8), gt_label=0)


@pytest.fixture
def dataset():
    return DATASETS.build(
        dict(type='InMemoryDataset', dataset=dict(type='Digits', split='test'))
    )


def test_a_batch_is_the_images_and_labels(dataset):
    digits = Digits(split='test')
    assert len(dataset) == len(digits) == 360
    (batch,) = dataset.__getitems__([3, 0, 359])
    infos = [digits.get_data_info(i) for i in (3, 0, 359)]
    images = np.stack([info['img'] for info in infos])
    assert batch['inputs'].shape == (3, 8, 8, 1)
    assert batch['inputs'].dtype == torch.uint8
    np.testing.assert_array_equal(batch['inputs'].squeeze(-1), images)
    assert batch['data_samples'].gt_label.tolist() == [i['gt_label'] for i in infos]
    one = dataset[3]
    assert torch.equal(one['inputs'], batch['inputs'][0].permute(2, 0, 1))
    assert one['data_samples'].gt_label.tolist() == [infos[0]['gt_label']]
    assert dataset.get_data_info(3)['gt_label'] == infos[0]['gt_label']
    assert dataset.metainfo['classes'] == tuple('0123456789')


@pytest.mark.parametrize('collate', ['default_collate', 'pseudo_collate'])
@pytest.mark.parametrize('num_workers', [0, 1])
def test_an_epoch_of_a_stock_loader(collate, num_workers):
    loader = Runner.build_dataloader(
        dict(
            batch_size=100,
            num_workers=num_workers,
            dataset=dict(
                type='InMemoryDataset', dataset=dict(type='Digits', split='test')
            ),
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type=collate),
        ),
        seed=0,
    )
    sizes, labels = [], []
    for batch in loader:
        sizes.append(len(batch['inputs'][0]))
        labels += batch['data_samples'][0].gt_label.tolist()
    assert sizes == [100, 100, 100, 60]
    digits = Digits(split='test')
    expected = [digits.get_data_info(i)['gt_label'] for i in range(360)]
    assert labels != expected
    assert sorted(labels) == sorted(expected)


def test_reads_once(monkeypatch):
    calls = []
    monkeypatch.setattr(Digits, 'get_data_info', lambda self, i: calls.append(i) or INFO)
    Runner.build_dataloader(
        dict(
            batch_size=100,
            num_workers=0,
            dataset=dict(
                type='InMemoryDataset', dataset=dict(type='Digits', split='test')
            ),
            sampler=dict(type='DefaultSampler', shuffle=True),
        )
    )
    assert calls == list(range(360))


def test_transforms_that_are_set_later_count_for_batches(dataset):
    """As those of MMPretrain's SwitchRecipeHook."""
    dataset.pipeline = Compose([dict(type='Resize', scale=16)])
    batch = dataset.__getitems__([3, 0])
    assert len(batch) == 2
    for index, each in zip((3, 0), batch):
        assert each['inputs'].shape == (1, 16, 16)
        assert torch.equal(each['inputs'], dataset[index]['inputs'])
        assert torch.equal(
            each['data_samples'].gt_label, dataset[index]['data_samples'].gt_label
        )


def test_refuses_a_pipeline_and_images_on_disk(tmp_path):
    with pytest.raises(ValueError, match='Digits: the data set has a pipeline; leave it'):
        InMemoryDataset(Digits(split='test', pipeline=[dict(type='PackInputs')]))
    (tmp_path / 'list.txt').write_text('a.jpg 0\n')
    files = CustomDataset(data_root=str(tmp_path), ann_file='list.txt')
    with pytest.raises(ValueError, match=r'CustomDataset: the images must be in memory'):
        InMemoryDataset(files)


def test_refuses_different_shapes():
    digits = Digits(split='test', test_mode=True)
    digits.data_list = [dict(img=np.zeros((8, 8)), gt_label=0)]
    digits.data_list += [dict(img=np.zeros((9, 8)), gt_label=0)]
    digits.serialize_data = False
    with pytest.raises(ValueError, match=r'theirs are \[\(8, 8\), \(9, 8\)\]'):
        InMemoryDataset(digits)


def test_files_that_are_not_there(tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise URLError('no network')

    monkeypatch.setattr(mnist, 'download_and_extract_archive', no_network)
    missing = dict(type='FashionMNIST', data_root=str(tmp_path / 'missing'))
    with pytest.raises(OSError, match=r'of FashionMNIST in .*missing.*no network'):
        InMemoryDataset(missing)
