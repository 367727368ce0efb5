import numpy as np
import pytest
from mmcv.transforms import Compose
from mmpretrain.registry import TRANSFORMS
from PIL import Image, UnidentifiedImageError

from dhm_plugin import LoadEncodedCenterCrop

STOCK = [
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
    dict(type='CenterCrop', crop_size=224),
]


@pytest.mark.parametrize('size', [(500, 375), (375, 501), (256, 256), (90, 1000)])
def test_window_is_the_stock_crop(size, tmp_path):
    """An image whose pixels are their places says which the stock crop begins with."""
    path = tmp_path / 'image.jpg'
    Image.new('RGB', size).save(path)
    given = LoadEncodedCenterCrop(224, edge=256)(dict(img_path=str(path)))
    places = np.stack(np.indices(size[::-1], dtype=np.float64), axis=-1)
    height, width = size[::-1]
    scale = 256 / min(size)
    resized = int(height * scale), int(width * scale)
    for axis, (pixels, length) in enumerate(zip(size[::-1], resized)):
        begin, end = given['window'][axis], given['window'][axis + 2]
        line = places[:, 0, 0] if axis == 0 else places[0, :, 1]
        image = Image.fromarray(line.astype(np.float32)[None])
        stock = np.asarray(image.resize((length, 1), Image.BILINEAR))[0]
        first = round((length - 224) / 2)
        # A filter of few taps is up to 0.02 pixels off the mean of the places.
        middle = stock[first : first + 224][20:-20] + 0.5
        ours = begin + (np.arange(224) + 0.5) * (end - begin) / 224
        np.testing.assert_allclose(ours[20:-20], middle, atol=0.05)
        first, last = given['decoded'][axis], given['decoded'][axis + 2]
        assert 0 <= first <= begin < end <= last <= pixels


def test_images_that_are_there_are_cropped_as_ever():
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    stock = Compose([TRANSFORMS.build(step) for step in STOCK])
    config = dict(type='LoadEncodedCenterCrop', crop_size=224, edge=256)
    ours = TRANSFORMS.build(config)(dict(img=image))
    np.testing.assert_array_equal(ours['img'], stock(dict(img=image))['img'])


def test_an_unreadable_image_is_named(tmp_path):
    path = tmp_path / 'text.jpg'
    path.write_text('no image')
    with pytest.raises(UnidentifiedImageError, match=f'the image {path} cannot be read'):
        LoadEncodedCenterCrop(224, edge=256)(dict(img_path=str(path)))


@pytest.mark.parametrize(('crop_size', 'edge'), [(0, 256), (257, 256)])
def test_refuses_a_crop_that_does_not_fit(crop_size, edge):
    with pytest.raises(ValueError, match=f'crop_size={crop_size}, edge=256'):
        LoadEncodedCenterCrop(crop_size, edge)


def test_shows_its_settings():
    assert repr(LoadEncodedCenterCrop(224, 256)) == (
        'LoadEncodedCenterCrop(crop_size=224, edge=256)'
    )
