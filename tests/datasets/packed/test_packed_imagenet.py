import json
import os
import pickle
import re

import numpy as np
import pytest
from mmengine.logging import MMLogger
from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import DATASETS
from torch.utils.data import DataLoader

from dhm_plugin import PackedImageNet
from dhm_plugin.datasets.packed.index import PackError
from small_imagenet import write_folder

LOAD = dict(type='LoadImageFromFile')
CROP = dict(type='LoadRandomResizedCrop', scale=32)


def packed_of(folder, **options):
    return DATASETS.build(
        dict(type='PackedImageNet', data_root=str(folder), split='train', **options)
    )


def epoch(dataset):
    np.random.seed(0)
    return [dataset[i] for i in range(len(dataset))]


@pytest.mark.parametrize('transform', [LOAD, CROP], ids=lambda t: t['type'])
def test_it_gives_what_the_folder_gives(transform, packed):
    folder, shards = packed
    assert len([*shards.glob('train-*.tar')]) > 2
    options = dict(pipeline=[transform])
    theirs = CustomDataset(str(folder), data_prefix='train', **options)
    ours = packed_of(shards, **options)
    assert len(ours) == len(theirs) == 20
    assert ours.metainfo['classes'] == theirs.metainfo['classes']
    np.testing.assert_array_equal(ours.get_gt_labels(), theirs.get_gt_labels())
    assert len({*ours.get_gt_labels()}) == 5
    for found, expected in zip(epoch(ours), epoch(theirs)):
        np.testing.assert_array_equal(found['img'], expected['img'])
        # The name of the image is in its place.
        name = os.path.relpath(expected['img_path'], folder / 'train')
        assert found['img_path'].endswith(f'/{name}')


def test_workers_read_it(packed):
    dataset = packed_of(packed[1], pipeline=[CROP, dict(type='PackInputs')])
    loader = DataLoader(dataset, batch_size=5, num_workers=2, collate_fn=list)
    labels = [int(item['data_samples'].gt_label) for batch in loader for item in batch]
    assert labels == dataset.get_gt_labels().tolist()
    again = pickle.loads(pickle.dumps(dataset))
    assert int(again[7]['data_samples'].gt_label) == labels[7]


def test_indices_and_meta_information_are_those_of_any_data_set(packed):
    dataset = packed_of(packed[1], indices=3, metainfo=dict(classes=('a', 'b')))
    assert len(dataset) == 3
    assert dataset.metainfo['classes'] == ('a', 'b')


def test_settings_and_fingerprint_are_logged_and_saved(packed, tmp_path, caplog):
    logger = MMLogger.get_current_instance()
    logger.setLevel('INFO')
    logger.addHandler(caplog.handler)
    dataset = packed_of(packed[1])
    found = dataset.metainfo['packed']
    assert {**found, 'fingerprint': None} == dict(
        edge=400, quality=90, seed=0, fingerprint=None
    )
    assert re.fullmatch(r'[0-9a-f]{64}', found['fingerprint'])
    line = f'edge 400, quality 90, seed 0, fingerprint {found["fingerprint"]}'
    assert (
        f'PackedImageNet: 20 images in {len([*packed[1].glob("*.tar")])}' in caplog.text
    )
    assert line in caplog.text
    # The same of the same images, another of others, and of the same labelled otherwise.
    _, same = write_folder(tmp_path / 'b', pack_to=tmp_path / 'b/packed')
    assert packed_of(same).metainfo['packed'] == found
    settings = same / 'train.json'
    content = json.loads(settings.read_text())
    content['classes'][:2] = content['classes'][1::-1]
    settings.write_text(json.dumps(content))
    assert packed_of(same).metainfo['packed']['fingerprint'] != found['fingerprint']
    _, other = write_folder(tmp_path / 'c', pack_to=tmp_path / 'c/packed', edge=32)
    other = packed_of(other).metainfo['packed']
    assert other['fingerprint'] != found['fingerprint']
    assert other['edge'] == 32


def truncate(path):
    os.truncate(path, path.stat().st_size - 1)


@pytest.mark.parametrize(
    ('name', 'damage', 'message'),
    [
        ('train-00001.tar', truncate, 'is truncated or another file; it has'),
        ('train-00001.tar', os.unlink, 'is missing; prepare_imagenet.py --pack writes'),
        ('train-00001.npz', truncate, 'is damaged'),
        ('train-00001.npz', os.unlink, 'is missing'),
        ('train.json', truncate, 'is damaged'),
        ('train.json', os.unlink, 'there is no such file; prepare_imagenet.py --pack'),
    ],
)
def test_names_what_is_damaged_before_the_training(name, damage, message, packed):
    path = packed[1] / name
    damage(path)
    with pytest.raises(PackError, match=f'{re.escape(str(path))}: {message}'):
        PackedImageNet(str(packed[1]))


def test_names_a_damaged_index(packed):
    path = packed[1] / 'train-00000.npz'
    content = bytearray(path.read_bytes())
    for place in range(60, 120):
        content[place] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(PackError, match=f'{path}: is damaged'):
        PackedImageNet(str(packed[1]))
