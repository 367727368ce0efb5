import io
from pathlib import Path

import numpy as np
import pytest
from mmcv.transforms import Compose, RandomFlip
from mmcv.transforms.utils import cache_randomness
from mmpretrain.datasets.transforms import RandomResizedCrop
from mmpretrain.registry import TRANSFORMS
from PIL import Image
from sklearn.datasets import load_sample_images

from dhm_plugin import LoadRandomResizedCrop
from dhm_plugin.datasets.transforms import load_random_resized_crop

STOCK = dict(type='LoadImageFromFile', imdecode_backend='pillow')
PHOTOS = [Image.fromarray(image) for image in load_sample_images().images]


@pytest.fixture
def save(tmp_path):
    """Write an image file: its path."""

    def write(image, name='image.jpg', **settings):
        path = tmp_path / name
        image.save(path, **{'quality': 92, **settings})
        return str(path)

    return write


class WholePixelsCrop(RandomResizedCrop):
    """Begins and ends at a whole pixel of 1/8 of the image too."""

    @cache_randomness
    def rand_crop_params(self, img):
        draw = vars(RandomResizedCrop)['rand_crop_params'].func
        return [number // 8 * 8 for number in draw(self, img)]


def both(path, seed, crop=RandomResizedCrop):
    """What the stock transforms and ours make of a file with the same random numbers."""
    results = []
    stock = Compose([TRANSFORMS.build(STOCK), crop(224, backend='pillow')])
    ours = LoadRandomResizedCrop(224)
    ours.crop = crop(224)
    for transform in (stock, ours):
        np.random.seed(seed)
        results.append(transform(dict(img_path=path)))
    return results


def difference(ours, stock):
    return np.abs(ours['img'].astype(int) - stock['img'].astype(int))


@pytest.mark.parametrize('photo', PHOTOS)
def test_agrees_with_pillow(photo, save):
    path = save(photo.crop((0, 0, 500, 375)))
    for seed in range(10):
        stock, ours = both(path, seed)
        assert ours['img'].shape == (224, 224, 3)
        assert ours['img'].dtype == np.uint8
        assert ours['ori_shape'] == stock['ori_shape'] == (375, 500)
        assert ours['img_shape'][:2] == stock['img_shape'][:2] == (224, 224)
        assert difference(ours, stock).max() <= 2
        assert difference(ours, stock).mean() < 1


@pytest.mark.one_stack
@pytest.mark.parametrize('photo', PHOTOS)
@pytest.mark.parametrize(
    ('size', 'factor'), [((1280, 854), 2), ((2561, 1707), 4), ((5123, 3417), 8)]
)
def test_reduced_scale_is_near_pillow(photo, size, factor, save, monkeypatch):
    path = save(photo.resize(size, Image.BICUBIC))
    decode = load_random_resized_crop.simplejpeg.decode_jpeg
    widths = []

    def watched(*args, **kwargs):
        image = decode(*args, **kwargs)
        widths.append(image.shape[1])
        return image

    monkeypatch.setattr(load_random_resized_crop.simplejpeg, 'decode_jpeg', watched)
    means = []
    for seed in range(8):
        stock, ours = both(path, seed, WholePixelsCrop)
        means.append(difference(ours, stock).mean())
    assert max(means) < 3
    assert np.mean(means) < 1.5
    assert min(widths) == -(-size[0] // factor)


@pytest.mark.parametrize(
    ('mode', 'name'),
    [('L', 'grey.jpg'), ('CMYK', 'cmyk.jpg'), ('RGB', 'a.png'), ('L', 'grey.png')],
)
def test_other_kinds_of_images(mode, name, save):
    path = save(PHOTOS[0].convert(mode), name)
    for seed in range(3):
        stock, ours = both(path, seed)
        assert difference(ours, stock).max() <= 2
        assert difference(ours, stock).mean() < 1


def xmp_of(orientation):
    """A segment of a JPEG that tells the orientation in XMP."""
    content = f'<rdf:Description tiff:Orientation="{orientation}"/>'.encode()
    content = b'http://ns.adobe.com/xap/1.0/\0' + content
    return b'\xff\xe1' + (2 + len(content)).to_bytes(2, 'big') + content


@pytest.mark.parametrize('orientation', [1, 3, 6])
@pytest.mark.parametrize('said_in', ['EXIF', 'XMP'])
def test_turns_as_exif_or_xmp_says(orientation, said_in, save):
    exif = Image.Exif()
    exif[0x0112] = orientation
    settings = dict(exif=exif) if said_in == 'EXIF' else dict(extra=xmp_of(orientation))
    path = Path(save(PHOTOS[1], **settings))
    # Seen: in another segment before it the bytes that an image's data begin with.
    content = path.read_bytes()
    path.write_bytes(content[:2] + b'\xff\xe2\x00\x04\xff\xda' + content[2:])
    for seed in range(3):
        stock, ours = both(str(path), seed)
        assert ours['ori_shape'] == stock['ori_shape']
        assert difference(ours, stock).max() <= 2
        assert difference(ours, stock).mean() < 1


def test_pillow_opens_no_jpeg_without_orientation(save, monkeypatch):
    monkeypatch.setattr(load_random_resized_crop, 'Image', None)
    path = save(PHOTOS[0])
    assert LoadRandomResizedCrop(224).load(dict(img_path=path))['ori_shape'] == (427, 640)


def test_skips_and_counts_what_cannot_be_read(save, tmp_path):
    content = io.BytesIO()
    PHOTOS[0].save(content, 'JPEG')
    truncated = tmp_path / 'truncated.jpg'
    truncated.write_bytes(content.getvalue()[:20000])
    transform = LoadRandomResizedCrop(224)
    assert transform(dict(img_path=str(truncated))) is None
    assert transform(dict(img_path=str(tmp_path / 'missing.jpg'))) is None
    assert transform.num_skipped == 2
    assert transform(dict(img_path=save(PHOTOS[0])))['img'].shape == (224, 224, 3)


def test_flips_as_random_flip_does(save):
    path = save(PHOTOS[0])
    stock = RandomFlip(0.3, direction='horizontal')
    ours, never = (LoadRandomResizedCrop(224, flip_prob=prob) for prob in (0.3, 0))
    flips = []
    for seed in range(40):
        results = []
        for transform in (Compose([never, stock]), ours):
            np.random.seed(seed)
            results.append(transform(dict(img_path=path)))
        assert results[1]['flip'] == results[0]['flip']
        assert np.array_equal(results[1]['img'], results[0]['img'])
        flips.append(results[1]['flip'])
    assert 4 < sum(flips) < 20


@pytest.mark.parametrize('flip_prob', [-0.1, 2])
def test_refuses_what_is_no_probability(flip_prob):
    message = f'flip_prob={flip_prob}; it must be from 0 to 1'
    with pytest.raises(ValueError, match=message):
        LoadRandomResizedCrop(224, flip_prob=flip_prob)


def test_draws_areas_and_aspects_from_the_given_ranges():
    settings = dict(crop_ratio_range=(0.2, 0.3), aspect_ratio_range=(1.9, 2.1))
    transform = LoadRandomResizedCrop(32, **settings)
    crops = np.array([transform._draw((1000, 1000)) for _ in range(200)])
    height, width = crops[:, 2], crops[:, 3]
    areas, aspects = height * width / 1e6, width / height
    assert 0.195 < areas.min() < 0.22
    assert 0.28 < areas.max() < 0.305
    assert 1.88 < aspects.min() < 1.95
    assert 2.05 < aspects.max() < 2.12


def test_from_a_config_in_any_size(save):
    config = dict(type='LoadRandomResizedCrop', scale=(48, 64), crop_ratio_range=(0.5, 1))
    transform = TRANSFORMS.build(config)
    assert transform(dict(img_path=save(PHOTOS[0])))['img'].shape == (48, 64, 3)
    assert repr(transform).startswith('LoadRandomResizedCrop(crop=RandomResizedCrop(')
