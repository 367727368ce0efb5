import copy
import gc
import multiprocessing
import pickle
import sys
import threading
from io import BytesIO

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.dataset import default_collate, pseudo_collate
from mmpretrain.registry import MODELS, TRANSFORMS
from PIL import Image, ImageEnhance, UnidentifiedImageError
from sklearn.datasets import load_sample_images
from torchvision.models import resnet18

from dhm_plugin import BatchPreprocessor, DaliPreprocessor
from dhm_plugin.models.data_preprocessors.dali_decoder import DaliDecoder

PHOTOS = [Image.fromarray(image) for image in load_sample_images().images]
NORM = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
STOCK_LOADING = dict(type='LoadImageFromFile', imdecode_backend='pillow')
PACK = dict(type='PackEncodedInputs')


def pipeline(*steps):
    return Compose([TRANSFORMS.build(dict(step)) for step in steps])


VALIDATION = (
    pipeline(dict(type='LoadEncodedCenterCrop', edge=256, crop_size=224), PACK),
    pipeline(
        STOCK_LOADING,
        dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
        dict(type='CenterCrop', crop_size=224),
        dict(type='PackInputs'),
    ),
)
TRAINING = (
    pipeline(dict(type='LoadEncodedRandomResizedCrop', scale=224, flip_prob=0.5), PACK),
    pipeline(
        STOCK_LOADING,
        dict(type='RandomResizedCrop', scale=224, backend='pillow'),
        dict(type='RandomFlip', prob=0.5, direction='horizontal'),
        dict(type='PackInputs'),
    ),
)


@pytest.fixture(scope='module')
def dali():
    pytest.importorskip('nvidia.dali', reason="pip install 'dhm_plugin[dali]'")
    return DaliPreprocessor(device='cpu', num_threads=1)


@pytest.fixture(scope='module')
def dali_alone(dali):
    """It resizes and flips too, as on a GPU."""
    alone = copy.deepcopy(dali)
    alone._decoder = DaliDecoder('cpu', num_threads=1)
    return alone


@pytest.fixture(params=['dali', 'dali_alone'])
def either(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope='module')
def paths(tmp_path_factory):
    """Photos of many sizes and kinds."""
    folder = tmp_path_factory.mktemp('photos')
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    images = {
        'grey.jpg': (PHOTOS[0].convert('L'), {}),
        'cmyk.jpg': (PHOTOS[1].convert('CMYK'), {}),
        'turned.jpg': (PHOTOS[0], dict(exif=exif)),
        'progressive.jpg': (PHOTOS[1], dict(progressive=True)),
        'a.png': (PHOTOS[0], {}),
        'small.jpg': (PHOTOS[1].resize((90, 70)), {}),
        'narrow.jpg': (PHOTOS[0].resize((100, 500)), {}),
        'large.jpg': (PHOTOS[1].resize((1601, 1203)), {}),
        '256.jpg': (PHOTOS[0].resize((256, 256)), {}),
    }
    for i in range(16):
        width, height = (int(number) for number in rng.integers(200, 420, 2))
        left, top = rng.integers(0, 640 - width), rng.integers(0, 427 - height)
        image = PHOTOS[i % 2].crop((left, top, left + width, top + height))
        image = ImageEnhance.Color(image).enhance(2 * rng.random())
        images[f'{i}.jpg'] = (image, {})
    for name, (image, settings) in images.items():
        image.save(folder / name, **{'quality': 92, **settings})
    return [str(folder / name) for name in images]


def batch(transform, paths, seed=0):
    """Transform each image with random numbers of its own."""
    items = []
    for i, path in enumerate(paths):
        np.random.seed(1000 * seed + i)
        items.append(transform(dict(img_path=path, gt_label=i)))
    return items


def images_of_both(dali, pipelines, paths, seed=0):
    """The images that DALI and the stock pipeline give, in grey levels."""
    ours = dali(default_collate(batch(pipelines[0], paths, seed)))
    stock = BatchPreprocessor()(pseudo_collate(batch(pipelines[1], paths, seed)))
    for one, two in zip(ours['data_samples'], stock['data_samples']):
        assert torch.equal(one.gt_label, two.gt_label)
    return ours['inputs'], stock['inputs']


def test_validation_images_are_pillows(either, paths):
    ours, stock = images_of_both(either, VALIDATION, paths)
    assert ours.shape == (len(paths), 3, 224, 224)
    difference = (ours - stock).abs()
    assert difference.mean(dim=(1, 2, 3)).max() < 0.5
    assert difference.max() <= 2


def test_training_images_are_pillows_of_the_same_random_numbers(either, paths):
    flips = set()
    for seed in range(3):
        ours, stock = images_of_both(either, TRAINING, paths, seed)
        difference = (ours - stock).abs()
        assert difference.mean(dim=(1, 2, 3)).max() < 0.5
        # At the edges Pillow's filter leaves out what is not there, DALI's repeats.
        assert difference[:, :, 1:-1, 1:-1].max() <= 2
        flips |= {item['data_samples'].flip for item in batch(TRAINING[0], paths, seed)}
    assert flips == {True, False}


@pytest.mark.one_stack
def test_predictions_are_the_same(either, paths):
    """Of a network whose random weights tell the images apart."""
    torch.manual_seed(0)
    network = resnet18().train()  # normalized over the images, else all look alike to it
    classes = []
    for images in images_of_both(either, VALIDATION, paths):
        with torch.no_grad():
            classes.append(network(images[:, :, 64:160, 64:160] / 64 - 2).argmax(1))
    assert len(classes[0].unique()) > 5
    assert (classes[0] == classes[1]).all()


@pytest.mark.parametrize('device', ['cpu', 'gpu'])
@pytest.mark.parametrize('to_rgb', [True, False])
def test_decoded_images_are_treated_as_ever(device, to_rgb, paths):
    """Neither DALI nor a GPU is needed, as in an inferencer on another machine."""
    config = dict(NORM, to_rgb=to_rgb)
    ours = MODELS.build(dict(config, type='DaliPreprocessor', device=device))
    for collate in (default_collate, pseudo_collate):
        data = collate(batch(VALIDATION[1], paths[:3]))
        expected = BatchPreprocessor(**config)(data)['inputs']
        assert torch.equal(ours(data)['inputs'], expected)
    assert ours._decoder is None


@pytest.mark.parametrize('to_rgb', [True, False])
def test_normalizes_once_in_the_right_order(dali, to_rgb, paths):
    data = default_collate(batch(VALIDATION[0], paths[:2]))
    config = dict(NORM, to_rgb=to_rgb)
    images = dali(data)['inputs'].byte()
    expected = BatchPreprocessor(**config)(dict(data, inputs=images))['inputs']
    ours = DaliPreprocessor(device='cpu', num_threads=1, **config)
    assert torch.equal(ours(data)['inputs'], expected)


def test_labels_are_mixed_as_ever(dali, paths):
    mixed = dict(
        to_onehot=True,
        num_classes=30,
        batch_augments=dict(augments=[dict(type='Mixup', alpha=1.0)]),
    )
    data = default_collate(batch(VALIDATION[0], paths[:4]))
    images = dali(data)['inputs'].byte()
    ours = DaliPreprocessor(device='cpu', num_threads=1, **mixed)
    given = []
    for preprocessor, inputs in (
        (ours, data['inputs']),
        (BatchPreprocessor(**mixed), images),
    ):
        np.random.seed(0)
        torch.manual_seed(0)
        given.append(preprocessor(dict(data, inputs=inputs), training=True))
    assert torch.equal(given[0]['inputs'], given[1]['inputs'])
    scores = [[sample.gt_score for sample in one['data_samples']] for one in given]
    assert torch.equal(torch.stack(scores[0]), torch.stack(scores[1]))


def test_batches_of_any_size_in_any_order(either, paths):
    items = batch(VALIDATION[0], paths)
    alone = [either(default_collate([item]))['inputs'][0] for item in items[:7]]
    parts = (slice(0, 2), slice(0, 7), slice(2, 3), slice(3, 7))
    batches = [either.prefetch(default_collate(items[part])) for part in parts]
    for part, data in reversed(list(zip(parts, batches))):
        assert either.prefetch(data) is data
        for _ in range(2):  # a hook may look at it too
            assert torch.equal(either(data)['inputs'], torch.stack(alone[part]))


@pytest.fixture
def damaged(tmp_path):
    """Its header is sound, and one of its tables is not."""
    content = bytearray(written(PHOTOS[0]))
    table = content.find(b'\xff\xc4')
    content[table + 5 : table + 21] = b'\xff' * 16
    path = tmp_path / 'damaged.jpg'
    path.write_bytes(content)
    return str(path)


def test_an_image_that_dali_cannot_decode_is_named(either, paths, damaged):
    with pytest.raises(UnidentifiedImageError, match='broken'):
        VALIDATION[1](dict(img_path=damaged))
    items = batch(VALIDATION[0], [paths[0], damaged, paths[1]])
    expected = f'^the image {damaged} cannot be read: RuntimeError: .*[Ee]rror.*; mend it'
    with pytest.raises(UnidentifiedImageError, match=expected):
        either(default_collate(items))
    # The next batch is not lost.
    assert either(default_collate(items[:1]))['inputs'].shape == (1, 3, 224, 224)


def test_a_full_gpu_blames_no_image(dali, paths, monkeypatch):
    class Full:
        def run(self, **inputs):
            dali.decoder._pipelines[threading.get_ident()] = self
            raise RuntimeError(
                'Error in MIXED operator `nvidia.dali.fn.decoders.image_slice`:\n'
                'CUDA allocation failed'
            )

    monkeypatch.setattr(dali.decoder, '_pipeline', lambda size: Full())
    with pytest.raises(RuntimeError, match='CUDA allocation failed'):
        dali(default_collate(batch(VALIDATION[0], paths[:2])))


def test_other_errors_blame_no_image(either, paths):
    items = batch(VALIDATION[0], paths[:1])
    items[0]['data_samples'].set_metainfo(dict(img_shape=(10**9, 10**9)))
    # Pillow's is without a word.
    with pytest.raises((MemoryError, RuntimeError), match=r'^$|bad_alloc'):
        either(default_collate(items))


def written(image):
    file = BytesIO()
    image.save(file, 'JPEG')
    return file.getvalue()


def test_copies_decode_for_themselves(dali, paths):
    data = default_collate(batch(VALIDATION[0], paths[:2]))
    expected = dali(data)['inputs']
    assert dali._decoder is not None
    assert not dali.state_dict()
    for twin in (copy.deepcopy(dali), pickle.loads(pickle.dumps(dali))):
        assert twin._decoder is None
        assert torch.equal(twin(data)['inputs'], expected)


def forget(preprocessors):
    preprocessors.clear()
    gc.collect()


def test_a_fork_can_forget_it(dali, paths, damaged):
    """As a data loader's worker may; DALI would wait for threads that are not there."""
    twin = copy.deepcopy(dali)
    with pytest.raises(UnidentifiedImageError):
        twin(default_collate(batch(VALIDATION[0], [damaged])))
    twin(default_collate(batch(VALIDATION[0], paths[:2])))
    kept = [twin]
    del twin
    fork = multiprocessing.get_context('fork').Process(target=forget, args=(kept,))
    fork.start()
    fork.join(20)
    if fork.exitcode is None:
        fork.kill()
    assert fork.exitcode == 0


def test_without_dali_it_says_what_to_install(paths, monkeypatch):
    for name in ('nvidia.dali', 'nvidia.dali.fn'):
        monkeypatch.setitem(sys.modules, name, None)
    preprocessor = DaliPreprocessor(device='cpu')
    data = default_collate(batch(VALIDATION[0], paths[:1]))
    with pytest.raises(ImportError, match=r"pip install 'dhm_plugin\[dali\]'"):
        preprocessor(data)


@pytest.mark.usefixtures('dali')
def test_without_a_gpu_it_says_what_to_set(paths, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    data = default_collate(batch(VALIDATION[0], paths[:1]))
    with pytest.raises(ValueError, match=r'data_preprocessor\.device=cpu'):
        DaliPreprocessor()(data)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(device='cuda'), "device='cuda'; it must be 'gpu' or 'cpu'"),
        (dict(num_threads=0), 'num_threads=0; it must be positive'),
    ],
)
def test_refuses(config, message):
    with pytest.raises(ValueError, match=message):
        DaliPreprocessor(**config)


@pytest.mark.usefixtures('dali')
def test_the_cores_are_shared_by_the_processes(monkeypatch):
    monkeypatch.setattr('os.sched_getaffinity', lambda process: set(range(9)))
    threads = []
    for processes in ('1', '4', '16'):
        monkeypatch.setenv('LOCAL_WORLD_SIZE', processes)
        threads.append(DaliPreprocessor(device='cpu').decoder._num_threads)
    assert threads == [9, 2, 1]
