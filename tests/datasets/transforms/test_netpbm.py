from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dhm_plugin.datasets.transforms.netpbm import from_netpbm, to_netpbm

IMAGE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
CONTENT = to_netpbm(IMAGE)


def test_pillow_and_ours_read_what_was_written():
    for pixels in (np.asarray(Image.open(BytesIO(CONTENT))), from_netpbm(CONTENT)):
        np.testing.assert_array_equal(pixels, IMAGE)


def test_the_pixels_are_those_of_the_file():
    assert not from_netpbm(CONTENT).flags.writeable


def test_a_part_of_an_image_is_written_too():
    part = IMAGE[1:3, 2:6, ::-1]
    np.testing.assert_array_equal(from_netpbm(to_netpbm(part)), part)


@pytest.mark.parametrize(
    'content',
    [
        CONTENT[:-1],
        CONTENT + b'0',
        b'0' + CONTENT,
        CONTENT.replace(b'255', b'254', 1),
        b'\xff\xd8',
        b'',
    ],
    ids=['truncated', 'longer', 'shifted', 'other depth', 'JPEG', 'empty'],
)
def test_other_files_are_none(content):
    assert from_netpbm(content) is None
