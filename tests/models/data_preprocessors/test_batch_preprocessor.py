import copy

import numpy as np
import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

NORM = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 61.0, 62.0], num_classes=10)
MIXUP = dict(augments=dict(type='Mixup', alpha=1.0))


@pytest.mark.parametrize('to_rgb', [False, True])
@pytest.mark.parametrize('norm', [NORM, dict(num_classes=10)])
@pytest.mark.parametrize('listed', [False, True])
@pytest.mark.parametrize('augments', [None, MIXUP])
@pytest.mark.parametrize('channels', [1, 3])
def test_is_the_stock_preprocessor_bit_for_bit(to_rgb, norm, listed, augments, channels):
    images = torch.randint(0, 256, (4, channels, 8, 9), dtype=torch.uint8)
    before = images.clone()
    results = []
    for kind in ('ClsDataPreprocessor', 'BatchPreprocessor'):
        settings = dict(type=kind, to_rgb=to_rgb, batch_augments=augments, **norm)
        data = dict(
            inputs=list(images) if listed else images,
            data_samples=[DataSample().set_gt_label(i) for i in range(4)],
        )
        np.random.seed(0)
        torch.manual_seed(0)
        preprocessor = MODELS.build(copy.deepcopy(settings))
        results.append(preprocessor(data, training=True))
    stock, ours = results
    assert torch.equal(images, before)
    assert torch.equal(ours['inputs'], stock['inputs'])
    for sample, expected in zip(ours['data_samples'], stock['data_samples']):
        assert torch.equal(sample.gt_label, expected.gt_label)
        if augments:
            assert torch.equal(sample.gt_score, expected.gt_score)


def test_leaves_float_images_as_they_are():
    images = torch.rand(2, 3, 4, 4)
    before = images.clone()
    MODELS.build(dict(type='BatchPreprocessor', **NORM))(dict(inputs=images))
    assert torch.equal(images, before)


def test_a_checkpoint_holds_nothing_of_it():
    assert not MODELS.build(dict(type='BatchPreprocessor', **NORM)).state_dict()


def test_mean_without_std():
    with pytest.raises(ValueError, match=r'BatchPreprocessor: mean=\[1.0\], std=None'):
        MODELS.build(dict(type='BatchPreprocessor', mean=[1.0]))
