import numpy as np
import torch
from mmengine.dataset import default_collate, pseudo_collate
from mmpretrain.registry import TRANSFORMS

IMAGE = dict(
    img=b'bytes',
    img_path='a.jpg',
    img_shape=(8, 8),
    flip=True,
    window=(0, 0, 9, 9),
    decoded=(0, 0, 9, 9),
    gt_label=3,
)


def test_bytes_go_through_either_collate_function():
    packed = TRANSFORMS.build(dict(type='PackEncodedInputs'))(dict(IMAGE))
    for collate in (default_collate, pseudo_collate):
        batch = collate([packed, packed])
        assert batch['inputs'] == [b'bytes', b'bytes']
        for sample in batch['data_samples']:
            assert sample.gt_label.tolist() == [3]
            for key in ('img_path', 'img_shape', 'flip', 'window', 'decoded'):
                assert sample.get(key) == IMAGE[key]


def test_images_are_packed_as_ever():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    inputs = [
        TRANSFORMS.build(dict(type=kind))(dict(img=pixels))['inputs']
        for kind in ('PackInputs', 'PackEncodedInputs')
    ]
    assert torch.equal(*inputs)
