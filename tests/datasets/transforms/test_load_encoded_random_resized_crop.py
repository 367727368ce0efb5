from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from mmpretrain.registry import TRANSFORMS
from PIL import Image
from scipy.stats import ks_2samp
from torchvision.transforms import RandomResizedCrop

from dhm_plugin import LoadEncodedRandomResizedCrop, LoadRandomResizedCrop

SHAPE = 375, 500


@pytest.fixture
def path(tmp_path):
    path = tmp_path / 'image.jpg'
    Image.new('RGB', SHAPE[::-1]).save(path)
    return str(path)


@pytest.fixture
def odd_path(path, tmp_path):
    """A JPEG that Pillow reads and simplejpeg does not."""
    content = Path(path).read_bytes()
    odd = tmp_path / 'odd.jpg'
    odd.write_bytes(content[:-2] + bytes(5) + content[-2:])
    with pytest.raises(ValueError, match='xtraneous'):
        simplejpeg.decode_jpeg(odd.read_bytes())
    return str(odd)


@pytest.mark.parametrize('kind', ['path', 'odd_path'])
def test_draws_what_the_other_loader_draws(kind, request, monkeypatch):
    path = request.getfixturevalue(kind)
    encoded = LoadEncodedRandomResizedCrop(32, flip_prob=0.5)
    other = LoadRandomResizedCrop(32, flip_prob=0.5)
    windows = []

    def watched(shape):
        windows.append(draw(shape))
        return windows[-1]

    draw = other._draw
    monkeypatch.setattr(other, '_draw', watched)
    flips = set()
    for seed in range(20):
        np.random.seed(seed)
        ours = [encoded(dict(img_path=path)) for _ in range(2)][1]
        after = np.random.random()
        np.random.seed(seed)
        theirs = [other(dict(img_path=path)) for _ in range(2)][1]
        assert np.random.random() == after
        top, left, height, width = windows[-1]
        assert (
            ours['window'] == ours['decoded'] == (top, left, top + height, left + width)
        )
        for key in ('flip', 'flip_direction', 'img_shape', 'ori_shape'):
            assert ours[key] == theirs[key]
        flips.add(ours['flip'])
    assert flips == {True, False}


def test_crops_are_distributed_as_torchvisions(path):
    """Their edges and places, which need not come from the same random numbers."""
    transform = LoadEncodedRandomResizedCrop(32, flip_prob=0.5)
    np.random.seed(0)
    ours = np.array([transform._draw(SHAPE) for _ in range(4000)])
    image = Image.new('RGB', SHAPE[::-1])
    settings = (0.08, 1.0), (3 / 4, 4 / 3)
    reference = np.array(
        [RandomResizedCrop.get_params(image, *settings) for _ in range(4000)]
    )
    for column in range(4):
        assert ks_2samp(ours[:, column], reference[:, column]).pvalue > 1e-3
    half = np.array([transform._draw_flip()['flip'] for _ in range(4000)])
    assert half.mean() == pytest.approx(0.5, abs=0.04)


def test_skips_and_counts_what_cannot_be_read(path, tmp_path):
    content = (tmp_path / 'image.jpg').read_bytes()
    (tmp_path / 'truncated.jpg').write_bytes(content[: len(content) // 2])
    (tmp_path / 'text.jpg').write_text('no image')
    transform = LoadEncodedRandomResizedCrop(32)
    for name in ('truncated', 'text', 'missing'):
        assert transform(dict(img_path=str(tmp_path / f'{name}.jpg'))) is None
    assert transform.num_skipped == 3
    assert transform(dict(img_path=path))['img'] == content


def test_from_a_config():
    config = dict(type='LoadEncodedRandomResizedCrop', scale=(48, 64), flip_prob=1)
    transform = TRANSFORMS.build(config)
    assert transform.crop.scale == (48, 64)
    assert transform._draw_flip()['flip_direction'] == 'horizontal'
    with pytest.raises(TypeError, match="did you mean 'flip_prob'"):
        TRANSFORMS.build(dict(config, flip_probb=1))
