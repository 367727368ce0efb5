from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images

from dhm_plugin.datasets.transforms.encoded import Crop, encoded_crop
from dhm_plugin.datasets.transforms.netpbm import to_netpbm

PHOTO = Image.fromarray(load_sample_images().images[0])
WINDOW = 20.25, 30.5, 200.0, 300.75
DECODED = 18, 28, 203, 304


def written(image, kind='JPEG', **settings):
    file = BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def crop(shape):
    return Crop(WINDOW, DECODED)


JPEG = written(PHOTO)
AS_THEY_ARE = {
    'a photo': JPEG,
    'grey': written(PHOTO.convert('L')),
    'progressive': written(PHOTO, progressive=True),
    'upright': written(PHOTO, exif=turned(1)),
    'zeros behind': JPEG + bytes(7),
}
# Among them what decoders on GPUs take for something else, or refuse.
DECODED_HERE = {
    'turned': written(PHOTO, exif=turned(6)),
    'CMYK': written(PHOTO.convert('CMYK')),
    'no YCbCr': written(PHOTO, keep_rgb=True),
    'PNG': written(PHOTO, 'PNG'),
    'grey PNG': written(PHOTO.convert('L'), 'PNG'),
    'palette': written(PHOTO.convert('P'), 'PNG'),
    'text behind': JPEG + b'text',
    'several images': written(PHOTO, 'MPO', save_all=True, append_images=[PHOTO]),
    'pixels': to_netpbm(np.asarray(PHOTO)),
}


@pytest.mark.parametrize('content', AS_THEY_ARE.values(), ids=AS_THEY_ARE)
def test_plain_jpegs_stay_as_they_are(content):
    given = encoded_crop(content, crop)
    assert given.pop('img') is content
    assert given == dict(ori_shape=(427, 640), window=WINDOW, decoded=DECODED)


@pytest.mark.parametrize('content', DECODED_HERE.values(), ids=DECODED_HERE)
def test_any_other_crop_is_what_pillow_decodes(content):
    image = ImageOps.exif_transpose(Image.open(BytesIO(content))).convert('RGB')
    given = encoded_crop(content, crop)
    top, left, bottom, right = DECODED
    pixels = np.asarray(Image.open(BytesIO(given['img'])))
    np.testing.assert_array_equal(pixels, np.asarray(image)[top:bottom, left:right])
    assert given['ori_shape'] == (image.height, image.width)
    assert given['decoded'] == (0, 0, bottom - top, right - left)
    assert given['window'] == (2.25, 2.5, 182.0, 272.75)


@pytest.mark.parametrize('size', [20000, -2])
def test_what_ends_too_early_is_refused(size):
    with pytest.raises(OSError, match='truncated'):
        encoded_crop(JPEG[:size], crop)
