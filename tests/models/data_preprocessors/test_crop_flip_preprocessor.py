from itertools import combinations

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.dataset import default_collate
from mmengine.logging import MessageHub
from mmpretrain.registry import MODELS, TRANSFORMS
from mmpretrain.structures import DataSample

NORM = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 61.0, 62.0], num_classes=10)


def build(**settings):
    return MODELS.build(dict(type='CropFlipPreprocessor', **{**NORM, **settings}))


def batch_of(images, labels):
    sample = DataSample().set_gt_label(torch.as_tensor(labels))
    return dict(inputs=[torch.as_tensor(images)], data_samples=[sample])


def positions(size):
    """An image whose pixels tell their row, column and channel; none is 0."""
    rows, columns = np.mgrid[:size, :size]
    image = np.stack([rows, columns, rows * size + columns], axis=-1) + 1
    return image.astype(np.uint8)


@pytest.mark.parametrize('padding', [0, 1, 2])
def test_the_same_augmentation_as_the_stock_pipeline(padding):
    """Every crop and flip as often as in RandomCrop and RandomFlip."""
    image, count, size = positions(6), 6000, 6
    pipeline = Compose(
        [
            TRANSFORMS.build(config)
            for config in (
                dict(type='RandomCrop', crop_size=size, padding=padding),
                dict(type='RandomFlip', prob=0.5, direction='horizontal'),
                dict(type='PackInputs'),
            )
        ]
    )
    stock = [
        pipeline(dict(img=image, gt_label=1))['inputs'].numpy().tobytes()
        for _ in range(count)
    ]
    ours = build(crop_size=size, padding=padding, flip_prob=0.5, mean=None, std=None)
    images = np.broadcast_to(image, (count, *image.shape)).copy()
    inputs = ours(batch_of(images, [1] * count), training=True)['inputs']
    ours = [x.numpy().astype(np.uint8).tobytes() for x in inputs.contiguous()]
    crops = sorted(set(stock))
    assert len(crops) == 2 * (2 * padding + 1) ** 2
    assert set(ours) == set(crops)
    for counts in ([x.count(crop) for crop in crops] for x in (stock, ours)):
        # Uniform: each is within five standard deviations of its expected number.
        expected = count / len(crops)
        np.testing.assert_allclose(counts, expected, atol=5 * expected**0.5)


def test_each_image_gets_its_own_crop():
    images = np.broadcast_to(positions(6), (500, 6, 6, 3)).copy()
    inputs = build(crop_size=6, padding=2, flip_prob=0.5)(
        batch_of(images, range(500)), training=True
    )['inputs']
    assert len({x.contiguous().numpy().tobytes() for x in inputs}) == 50


@pytest.mark.parametrize('shape', [(5, 9), (9, 5)])
def test_crops_images_that_are_not_square(shape):
    height, width = shape
    places = torch.arange(height * width, dtype=torch.uint8).view(height, width, 1)
    images = places.expand(300, height, width, 1)
    crops = build(crop_size=4, flip_prob=0.5, mean=None, std=None)(
        batch_of(images, range(300)), training=True
    )['inputs'][:, 0]
    windows = [
        places[top : top + 4, left : left + 4, 0]
        for top in range(height - 3)
        for left in range(width - 3)
    ]
    expected = {tuple(x.flatten().tolist()) for w in windows for x in (w, w.flip(1))}
    assert {tuple(x.flatten().tolist()) for x in crops} == expected


@pytest.mark.parametrize('channels', [1, 3])
def test_normalizes_images_that_are_not_square(channels):
    images = torch.randint(0, 256, (5, 8, 6, channels), dtype=torch.uint8)
    ours = build(crop_size=4)(batch_of(images, range(5)))['inputs']
    stock = MODELS.build(dict(type='ClsDataPreprocessor', **NORM))
    assert torch.equal(ours, stock(dict(inputs=images.permute(0, 3, 1, 2)))['inputs'])


@pytest.mark.parametrize('to_rgb', [False, True])
@pytest.mark.parametrize('training', [False, True])
def test_normalizes_as_the_stock_preprocessor(to_rgb, training):
    images = torch.randint(0, 256, (5, 8, 8, 3), dtype=torch.uint8)
    ours = build(crop_size=8, to_rgb=to_rgb)(batch_of(images, range(5)), training)
    stock = MODELS.build(dict(type='ClsDataPreprocessor', to_rgb=to_rgb, **NORM))
    samples = [DataSample().set_gt_label(i) for i in range(5)]
    expected = stock(
        dict(inputs=images.permute(0, 3, 1, 2), data_samples=samples), training
    )
    assert torch.equal(ours['inputs'], expected['inputs'])
    assert ours['inputs'].is_contiguous(memory_format=torch.channels_last)
    labels = torch.cat([sample.gt_label for sample in ours['data_samples']])
    assert labels.tolist() == [0, 1, 2, 3, 4]
    assert len(ours['data_samples']) == (1 if training else 5)


def test_other_batches_are_the_stock_preprocessors():
    pack = TRANSFORMS.build(dict(type='PackInputs'))
    images = np.random.randint(0, 256, (4, 9, 9, 3), dtype=np.uint8)
    batches = [
        default_collate([pack(dict(img=x, gt_label=i)) for i, x in enumerate(images)])
        for _ in range(2)
    ]
    stock = MODELS.build(dict(type='ClsDataPreprocessor', **NORM))(batches[0])
    ours = build(crop_size=9, padding=4, flip_prob=0.5)(batches[1])
    assert torch.equal(ours['inputs'], stock['inputs'])
    assert [s.gt_label for s in ours['data_samples']] == [0, 1, 2, 3]


def test_mixup_gets_scores():
    preprocessor = build(
        crop_size=8,
        to_onehot=True,
        batch_augments=dict(augments=dict(type='Mixup', alpha=1.0)),
    )
    images = torch.randint(0, 256, (6, 8, 8, 3), dtype=torch.uint8)
    batch = preprocessor(batch_of(images, range(6)), training=True)
    scores = torch.stack([sample.gt_score for sample in batch['data_samples']])
    assert scores.shape == (6, 10)
    torch.testing.assert_close(scores.sum(1), torch.ones(6))
    assert ((scores > 0).sum(1) <= 2).all()
    assert (scores > 0).sum() > 6


def test_the_seed_alone_decides():
    images = torch.randint(0, 256, (50, 8, 8, 3), dtype=torch.uint8)
    results = []
    for seed, disturb in ((1, False), (1, True), (2, False)):
        torch.manual_seed(seed)
        if disturb:
            torch.rand(10)
        preprocessor = build(crop_size=8, padding=2, flip_prob=0.5)
        batch = preprocessor(batch_of(images, range(50)), training=True)
        results.append(batch['inputs'])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_each_process_augments_differently(monkeypatch):
    images = torch.randint(0, 256, (50, 8, 8, 3), dtype=torch.uint8)
    inputs = []
    for rank in (0, 1):
        monkeypatch.setattr('mmengine.dist.get_rank', lambda rank=rank: rank)
        preprocessor = build(crop_size=8, padding=2, flip_prob=0.5)
        batch = preprocessor(batch_of(images, range(50)), training=True)
        inputs.append(batch['inputs'])
    assert not torch.equal(*inputs)


def test_a_resumed_training_sees_the_same():
    images = torch.randint(0, 256, (50, 8, 8, 3), dtype=torch.uint8)

    def inputs_of(iterations):
        preprocessor = build(crop_size=8, padding=2, flip_prob=0.5)
        inputs = []
        for iteration in iterations:
            hub = MessageHub.get_current_instance()
            hub.update_info('iter', iteration)
            batch = preprocessor(batch_of(images, range(50)), training=True)
            inputs.append(batch['inputs'])
        return inputs

    first, second, third, again = inputs_of([0, 1, 2, 2])
    (resumed,) = inputs_of([2])
    assert torch.equal(resumed, third)
    # Several batches of one iteration differ too.
    for a, b in combinations([first, second, third, again], 2):
        assert not torch.equal(a, b)


@pytest.mark.parametrize(
    'settings',
    [
        dict(crop_size=0),
        dict(crop_size=8, padding=-1),
        dict(crop_size=8, flip_prob=1.5),
        dict(crop_size=8.0),
        dict(crop_size=8, padding=1.5),
    ],
)
def test_refuses_numbers_out_of_range(settings):
    with pytest.raises(ValueError, match='CropFlipPreprocessor: crop_size='):
        build(**settings)


def test_names_a_crop_that_does_not_fit():
    images = torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    with pytest.raises(ValueError, match='crop_size=11, but the padded images are 10x10'):
        build(crop_size=11, padding=1)(batch_of(images, [0, 1]), training=True)
