import numpy as np
import pytest
from mmpretrain.registry import DATASETS
from sklearn.datasets import load_digits

from dhm_plugin import Digits


def test_every_image_is_in_one_split():
    train, test = Digits(split='train'), Digits(split='test')
    assert len(train) == 1437
    assert len(test) == 360
    infos = [
        dataset.get_data_info(i) for dataset in (train, test) for i in range(len(dataset))
    ]
    digits = load_digits()
    np.testing.assert_array_equal([info['img'] for info in infos], digits.images)
    np.testing.assert_array_equal([info['gt_label'] for info in infos], digits.target)


def test_from_a_config():
    dataset = DATASETS.build(
        dict(type='Digits', split='test', pipeline=[dict(type='PackInputs')])
    )
    item = dataset[0]
    assert item['inputs'].shape == (1, 8, 8)
    assert int(item['inputs'].max()) <= 16
    assert dataset.CLASSES == tuple('0123456789')
    assert 'Split: \ttest' in repr(dataset)


def test_a_part_of_them():
    everything = Digits(split='test')
    part = Digits(split='test', indices=[5, 3])
    assert len(Digits(split='test', indices=7)) == 7
    for i, whole in enumerate((5, 3)):
        expected = everything.get_data_info(whole)['img']
        assert (part.get_data_info(i)['img'] == expected).all()


def test_refuses():
    with pytest.raises(ValueError, match="split='val'; it must be 'train' or 'test'"):
        Digits(split='val')
