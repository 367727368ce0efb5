import copy

import mmcv
import numpy as np
import pytest
from mmpretrain.datasets import CustomDataset
from PIL import Image
from torch.utils.data import DataLoader

from dhm_plugin import LoadReadableImage


@pytest.fixture
def folder(tmp_path):
    """Eight images, one truncated, one that is a text, one empty."""
    rng = np.random.default_rng(0)
    for i in range(8):
        path = tmp_path / f'class{i % 2}' / f'{i}.jpg'
        path.parent.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    path = tmp_path / 'class0' / '2.jpg'
    path.write_bytes(path.read_bytes()[:400])
    (tmp_path / 'class1' / '3.jpg').write_text('no image')
    (tmp_path / 'class0' / '4.jpg').write_bytes(b'')
    return tmp_path


@pytest.mark.parametrize(
    ('context', 'num_workers'),
    [
        (None, 0),
        ('fork', 2),
        # It imports everything again.
        pytest.param('spawn', 1, marks=pytest.mark.one_stack),
    ],
)
def test_skips_and_counts(folder, num_workers, context):
    dataset = CustomDataset(data_root=str(folder), pipeline=[LoadReadableImage()])
    loader = DataLoader(
        dataset,
        num_workers=num_workers,
        collate_fn=list,
        multiprocessing_context=context,
        persistent_workers=context == 'spawn',
    )
    transform = dataset.pipeline.transforms[0]
    items = [item for batch in loader for item in batch]
    assert len(items) == 8
    assert all(item['img'].shape == (32, 32, 3) for item in items)
    # Another image is drawn at random in the place of a broken one, and it may be
    # another broken one.
    assert transform.num_skipped >= 3
    first = transform.num_skipped
    list(loader)
    assert transform.num_skipped >= first + 3


def test_same_pixels_as_the_stock_transform(folder):
    path = str(folder / 'class0' / '0.jpg')
    ours = LoadReadableImage()(dict(img_path=path))
    np.testing.assert_array_equal(ours['img'], mmcv.imread(path, backend='pillow'))


def test_grey_images_if_asked_for(folder):
    path = str(folder / 'class0' / '0.jpg')
    ours = LoadReadableImage(color_type='grayscale')(dict(img_path=path))
    assert ours['img'].shape == (32, 32)


def test_a_missing_file_is_named(folder, monkeypatch):
    messages = []
    monkeypatch.setattr(
        'dhm_plugin.datasets.transforms.load_readable_image.print_log',
        lambda message, **_: messages.append(message),
    )
    transform = LoadReadableImage()
    assert transform(dict(img_path=str(folder / 'missing.jpg'))) is None
    assert transform.num_skipped == 1
    (message,) = messages
    assert message.startswith(f'Skipped: the image {folder}/missing.jpg cannot be read: ')
    assert 'FileNotFoundError' in message


def test_a_copy_counts_for_itself(folder):
    transform = LoadReadableImage()
    twin = copy.deepcopy(transform)
    assert twin(dict(img_path=str(folder / 'missing.jpg'))) is None
    assert (transform.num_skipped, twin.num_skipped) == (0, 1)
    assert twin._skipped.is_shared()


def test_refuses_an_unknown_backend():
    with pytest.raises(ValueError, match="imdecode_backend='pil'; it must be one of"):
        LoadReadableImage(imdecode_backend='pil')


def test_a_missing_file_backend_is_no_unreadable_image(monkeypatch, folder):
    def no_client(*args, **kwargs):
        raise ImportError('install petrel')

    monkeypatch.setattr('mmengine.fileio.get', no_client)
    with pytest.raises(ImportError, match='petrel'):
        LoadReadableImage()(dict(img_path=str(folder / 'class0' / '0.jpg')))


def test_a_test_set_must_be_readable(folder):
    dataset = CustomDataset(
        data_root=str(folder), pipeline=[LoadReadableImage()], test_mode=True
    )
    with pytest.raises(Exception, match='should not get'):
        [dataset[i] for i in range(len(dataset))]
