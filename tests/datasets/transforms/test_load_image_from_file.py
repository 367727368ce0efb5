from functools import partial
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
from mmpretrain.datasets import CustomDataset, remove_transform
from mmpretrain.registry import TRANSFORMS
from PIL import Image, UnidentifiedImageError
from torch.utils.data import DataLoader

from dhm_plugin import (
    LoadEncodedCenterCrop,
    LoadEncodedRandomResizedCrop,
    LoadImageFromFile,
    LoadRandomResizedCrop,
    LoadReadableImage,
)

PILLOW = dict(type='LoadImageFromFile', imdecode_backend='pillow')


@pytest.fixture
def folder(tmp_path):
    """A readable image, and three that are not."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    (tmp_path / 'a').mkdir()
    Image.fromarray(pixels).save(tmp_path / 'a' / 'good.jpg')
    content = (tmp_path / 'a' / 'good.jpg').read_bytes()
    (tmp_path / 'a' / 'truncated.jpg').write_bytes(content[:400])
    (tmp_path / 'a' / 'text.jpg').write_text('no image')
    return tmp_path


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
@pytest.mark.parametrize('color_type', ['color', 'grayscale'])
def test_the_same_pixels_as_mmcv(folder, backend, color_type):
    path = str(folder / 'a' / 'good.jpg')
    settings = dict(imdecode_backend=backend, color_type=color_type)
    ours = LoadImageFromFile(**settings)(dict(img_path=path))
    image = mmcv.imread(path, backend=backend, flag=color_type)
    np.testing.assert_array_equal(ours['img'], image)
    assert ours['img_shape'] == ours['ori_shape'] == (32, 32)
    assert LoadImageFromFile(to_float32=True)(dict(img_path=path))['img'].dtype == 'f4'


@pytest.mark.parametrize('num_workers', [0, 1])
@pytest.mark.parametrize('name', ['truncated.jpg', 'text.jpg', 'missing.jpg'])
def test_an_unreadable_test_image_is_named(folder, name, num_workers):
    """Whether the error is raised here or comes from a worker."""
    (folder / 'list.txt').write_text(f'a/{name} 0\n')
    dataset = CustomDataset(
        data_root=str(folder), ann_file='list.txt', pipeline=[PILLOW], test_mode=True
    )
    loader = DataLoader(dataset, num_workers=num_workers, collate_fn=list)
    with pytest.raises(UnidentifiedImageError) as error:
        list(loader)
    last = str(error.value).strip().splitlines()[-1]
    assert f'the image {folder}/a/{name} cannot be read: ' in last


def test_with_opencv_too(folder):
    with pytest.raises(UnidentifiedImageError, match=r'text.jpg cannot be .* decode it'):
        LoadImageFromFile()(dict(img_path=str(folder / 'a' / 'text.jpg')))


def test_what_ignores_unreadable_images_does(folder):
    ignoring = LoadImageFromFile(ignore_empty=True)
    assert ignoring(dict(img_path=str(folder / 'a' / 'text.jpg'))) is None


def test_a_missing_file_backend_is_no_unreadable_image(folder, monkeypatch):
    def no_client(*args, **kwargs):
        raise ImportError('install petrel')

    monkeypatch.setattr('mmengine.fileio.get', no_client)
    with pytest.raises(ImportError, match='petrel'):
        LoadImageFromFile()(dict(img_path=str(folder / 'a' / 'good.jpg')))


@pytest.mark.parametrize(
    'build',
    [
        LoadImageFromFile,
        LoadReadableImage,
        partial(LoadRandomResizedCrop, 32),
        partial(LoadEncodedCenterCrop, 16, 16),
        partial(LoadEncodedRandomResizedCrop, 32),
    ],
)
def test_any_loader_reads_through_its_file_backend(build, folder, monkeypatch):
    asked = []

    def get(path, backend_args):
        asked.append(backend_args)
        return Path(path).read_bytes()

    monkeypatch.setattr('mmengine.fileio.get', get)
    backend_args = dict(backend='local')
    build(backend_args=backend_args)(dict(img_path=str(folder / 'a' / 'good.jpg')))
    assert asked == [backend_args]


def test_reads_through_a_file_client(folder, monkeypatch):
    """As MMCV's does, of older configs."""
    monkeypatch.setattr('mmengine.fileio.get', None)
    loader = LoadImageFromFile(file_client_args=dict(backend='disk'))
    image = loader(dict(img_path=str(folder / 'a' / 'good.jpg')))['img']
    assert image.shape == (32, 32, 3)


def test_configs_get_it_and_the_inferencer_finds_it():
    transform = TRANSFORMS.build(PILLOW)
    assert type(transform) is LoadImageFromFile
    assert remove_transform([transform], 'LoadImageFromFile') == []
    with pytest.raises(TypeError, match="did you mean 'imdecode_backend'"):
        TRANSFORMS.build(dict(type='LoadImageFromFile', decode_backend='pillow'))


def deep(shape):
    pixels = np.random.default_rng(0).integers(0, 65536, shape, dtype=np.uint16)
    pixels[0, :2] = 0, 65535
    return pixels


@pytest.mark.parametrize(
    ('name', 'channels'),
    [('a.png', 1), ('a.png', 3), ('a.tif', 1), ('a.tif', 3), ('a.pgm', 1)],
)
@pytest.mark.parametrize('color_type', ['color', 'grayscale'])
def test_scales_16_bits(name, channels, color_type, tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 65536, (24, 20, channels), dtype=np.uint16)
    pixels[0, :2] = [[0], [65535]]
    path = str(tmp_path / name)
    assert cv2.imwrite(path, pixels)
    settings = dict(imdecode_backend='pillow', color_type=color_type)
    image = LoadImageFromFile(**settings)(dict(img_path=path))['img']
    expected = (pixels >> 8).astype(np.uint8)
    assert image.dtype == np.uint8
    assert (image[0, 0].min(), image[0, 1].max()) == (0, 255)
    if color_type == 'color':
        assert np.array_equal(image, np.broadcast_to(expected, (24, 20, 3)))
    elif channels == 1:
        assert np.array_equal(image, expected[:, :, 0])


@pytest.mark.parametrize('loader', [LoadReadableImage(), LoadRandomResizedCrop(24)])
def test_so_do_the_other_loaders(loader, tmp_path):
    path = str(tmp_path / 'a.png')
    assert cv2.imwrite(path, np.full((24, 24), 32768, np.uint16))
    image = loader(dict(img_path=path))['img']
    assert image.shape == (24, 24, 3)
    assert (image == 128).all()


def test_unchanged_are_all_16_bits(tmp_path):
    pixels = np.arange(6, dtype=np.uint16).reshape(2, 3) * 300
    path = str(tmp_path / 'a.png')
    Image.fromarray(pixels).save(path)
    settings = dict(imdecode_backend='pillow', color_type='unchanged')
    image = LoadImageFromFile(**settings)(dict(img_path=path))['img']
    assert np.array_equal(image.squeeze(), pixels)


def test_does_not_scale_32_bits(tmp_path):
    pixels = np.int32([[0, 100, 255]])
    path = str(tmp_path / 'a.tif')
    Image.fromarray(pixels).save(path)
    image = LoadImageFromFile(imdecode_backend='pillow')(dict(img_path=path))['img']
    assert np.array_equal(image[:, :, 0], pixels)


def test_turns_16_bits_as_exif_says(tmp_path):
    pixels = np.arange(6, dtype=np.uint16).reshape(2, 3) * 256
    exif = Image.Exif()
    exif[0x0112] = 6
    path = str(tmp_path / 'a.png')
    Image.fromarray(pixels).save(path, exif=exif)
    image = LoadImageFromFile(imdecode_backend='pillow')(dict(img_path=path))
    assert image['img'][:, :, 0].tolist() == [[3, 0], [4, 1], [5, 2]]
    assert image['img_shape'] == (3, 2)
    settings = dict(imdecode_backend='pillow', color_type='color_ignore_orientation')
    image = LoadImageFromFile(**settings)(dict(img_path=path))
    assert image['img'][:, :, 0].tolist() == [[0, 1, 2], [3, 4, 5]]
