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
from dhm_plugin.datasets.packed.index import PackError, read_settings, read_shard
from hostile import Hostile
from packing import pack
from small_imagenet import write_folder

LOAD = dict(type='LoadImageFromFile', imdecode_backend='pillow')
CROP = dict(type='LoadRandomResizedCrop', scale=32)


def packed_of(folder, **options):
    return DATASETS.build(
        dict(type='PackedImageNet', data_root=str(folder), split='train', **options)
    )


def epoch(dataset):
    np.random.seed(0)
    return [dataset[i] for i in range(len(dataset))]


@pytest.mark.parametrize('quality', [90, 'raw'])
@pytest.mark.parametrize('transform', [LOAD, CROP], ids=lambda t: t['type'])
def test_it_gives_what_the_folder_gives(transform, quality, tmp_path):
    folder, shards = write_folder(
        tmp_path / 'images', pack_to=tmp_path / 'packed', quality=quality
    )
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
        name += '.ppm' * (quality == 'raw')
        assert found['img_path'].endswith(f'/{name}')


def test_workers_read_it(packed):
    dataset = packed_of(packed[1], pipeline=[CROP, dict(type='PackInputs')])
    loader = DataLoader(dataset, batch_size=5, num_workers=2, collate_fn=list)
    labels = [int(item['data_samples'].gt_label) for batch in loader for item in batch]
    assert labels == dataset.get_gt_labels().tolist()
    again = pickle.loads(pickle.dumps(dataset))
    assert int(again[7]['data_samples'].gt_label) == labels[7]


def test_options_are_those_of_any_data_set(packed, monkeypatch):
    monkeypatch.setenv('HOME', str(packed[1].parent))
    folder = f'~/{packed[1].name}'
    dataset = packed_of(
        folder,
        indices=3,
        metainfo=dict(classes=('a', 'b')),
        pipeline=[lambda results: None],
        max_refetch=2,
    )
    assert len(dataset) == 3
    assert dataset.metainfo['classes'] == ('a', 'b')
    with pytest.raises(Exception, match='Cannot find valid image after 2'):
        dataset[0]
    dataset = packed_of(folder, pipeline=[lambda results: None], test_mode=True)
    with pytest.raises(Exception, match='should not get'):
        dataset[0]


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
    classes = dict(classes=tuple('abcde'))
    files = CustomDataset(str(packed[0]), data_prefix='train', metainfo=classes)
    pack(files, 'train', tmp_path / 'classes', 400, 90, jobs=1)
    renamed = packed_of(tmp_path / 'classes').metainfo['packed']
    assert renamed['fingerprint'] != found['fingerprint']
    _, other = write_folder(tmp_path / 'c', pack_to=tmp_path / 'c/packed', edge=32)
    other = packed_of(other).metainfo['packed']
    assert other['fingerprint'] != found['fingerprint']
    assert other['edge'] == 32


def relabel(fields):
    fields['images']['label'][0] += 1


def rehash(fields):
    fields['sha256'] = np.array('0' * 64)


@pytest.mark.parametrize('change', [relabel, rehash])
def test_the_fingerprint_is_of_what_the_shards_hold(change, packed):
    before = packed_of(packed[1]).metainfo['packed']['fingerprint']
    rewrite(packed[1] / 'train-00001.npz', change)
    assert packed_of(packed[1]).metainfo['packed']['fingerprint'] != before


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


def test_a_damaged_index_is_named_or_harmless(packed):
    path = packed[1] / 'train-00000.npz'
    content, errors = path.read_bytes(), []
    settings = read_settings(packed[1], 'train')
    whole = read_shard(packed[1], 'train', 0, settings)
    damaged = [content[:end] for end in range(0, len(content), 50)]
    for place in range(0, len(content), 4):
        damaged.append(bytearray(content))
        damaged[-1][place] ^= 0xFF
    for other in damaged:
        path.write_bytes(other)
        try:
            found = read_shard(packed[1], 'train', 0, settings)
        except PackError as error:
            errors.append(str(error))
        else:  # such as a time within the zip
            np.testing.assert_array_equal(found.images, whole.images)
            assert found.sha256 == whole.sha256
    assert len(errors) > len(damaged) / 2
    assert all(error.startswith(f'{path}: is ') for error in errors)


def rewrite(path, change):
    with np.load(path) as index:
        fields = dict(index)
    change(fields)
    np.savez_compressed(path, **fields)


def repeat(fields):
    fields['images']['number'][0] = fields['images']['number'][1]


def rename(fields):
    fields['images'] = fields['images'][['number', 'name']]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (repeat, 'the shards of train have not each of the 20 images once'),
        (rename, r'train-00001\.npz: is damaged: .*its fields are'),
    ],
)
def test_refuses_an_index_of_wrong_content(change, message, packed):
    rewrite(packed[1] / 'train-00001.npz', change)
    with pytest.raises(PackError, match=f'{packed[1]}.*{message}'):
        PackedImageNet(str(packed[1]))


def test_an_index_runs_no_code(packed, capfd):
    path = packed[1] / 'train-00001.npz'
    np.savez_compressed(path, images=np.array([Hostile()], object))
    with pytest.raises(PackError, match=f'{path}: is damaged'):
        PackedImageNet(str(packed[1]))
    assert 'hostile code ran' not in capfd.readouterr().out


def test_names_a_shard_in_the_place_of_another(packed):
    paths = [packed[1] / f'train-0000{number}.npz' for number in (0, 1)]
    paths[1].write_bytes(paths[0].read_bytes())
    tar = paths[0].with_suffix('.tar')
    paths[1].with_suffix('.tar').write_bytes(tar.read_bytes())
    message = f'{paths[1]}: is of another shard or of other settings'
    with pytest.raises(PackError, match=message):
        PackedImageNet(str(packed[1]))


@pytest.mark.parametrize(
    'change',
    [{}, [], 7, dict(shards='5'), dict(shards=None), dict(classes=5)],
    ids=str,
)
def test_names_settings_of_wrong_content(change, packed):
    path = packed[1] / 'train.json'
    if isinstance(change, dict) and change:
        change = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps(change))
    with pytest.raises(PackError, match=f'{path}: is damaged: .*; remove it and all of'):
        PackedImageNet(str(packed[1]))


@pytest.mark.parametrize('change', [dict(edge=20), dict(shards=0), dict(images=19)])
def test_refuses_the_settings_of_others(change, packed):
    path = packed[1] / 'train.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(PackError, match=f'{packed[1]}.*train'):
        PackedImageNet(str(packed[1]))
