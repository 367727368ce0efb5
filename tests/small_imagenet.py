"""ImageNet's archives in small: the form is theirs, with five classes."""

import gzip
import hashlib
import io
import tarfile
from unittest import mock

import numpy as np
from mmpretrain.datasets import CustomDataset
from PIL import Image
from scipy.io import savemat
from scipy.io.matlab import _mio5
from torchvision.datasets.imagenet import ARCHIVE_META

import packing

# The first classes, and ImageNet's own numbers of them, which have another order.
WNIDS = ['n01440764', 'n01443537', 'n01484850', 'n01491361', 'n01494475']
NUMBERS = [3, 1, 5, 2, 4]
TRAIN_IMAGES = 4
TRUTH = [2, 5, 5, 1, 3, 4, 2, 1]


def jpeg(seed, size=(48, 40), mode='RGB', **options):
    """A JPEG of smooth random colours."""
    rng = np.random.default_rng(seed)
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = rng.integers(0, 256, (5, 6, bands), dtype=np.uint8).squeeze()
    buffer = io.BytesIO()
    Image.fromarray(pixels, mode).resize(size).save(buffer, 'JPEG', **options)
    return buffer.getvalue()


def tar(members):
    """A tar of contents by name, or of members as they are."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def train_images():
    """The images of each class, by name."""
    return {
        wnid: {
            f'{wnid}_{10 * label + i}.JPEG': jpeg(10 * label + i)
            for i in range(TRAIN_IMAGES)
        }
        for label, wnid in enumerate(WNIDS)
    }


def val_images():
    """The validation images, by name."""
    return {
        f'ILSVRC2012_val_{i + 1:08}.JPEG': jpeg(100 + i, size=(40, 44))
        for i in range(len(TRUTH))
    }


def devkit():
    """The classes, one group of them, and the classes of the validation images."""
    fields = (
        'ILSVRC2012_ID',
        'WNID',
        'words',
        'gloss',
        'num_children',
        'children',
        'wordnet_height',
        'num_train_images',
    )
    rows = sorted(zip(NUMBERS, WNIDS))
    synsets = np.array(
        [
            *((n, w, f'{w}, a fish', 'swims', 0, [], 0, TRAIN_IMAGES) for n, w in rows),
            (6, 'n02512053', 'fish', 'swims', 5, [1, 2, 3, 4, 5], 1, 0),
        ],
        [(field, object) for field in fields],
    )
    mat = io.BytesIO()
    with mock.patch.object(_mio5.VarWriter5, 'write_element', _write_as_matlab):
        savemat(mat, {'synsets': synsets.reshape(-1, 1)}, do_compression=True)
    root = 'ILSVRC2012_devkit_t12'
    truth = ''.join(f'{number}\n' for number in TRUTH).encode()
    members = {
        f'{root}/readme.txt': b'',
        f'{root}/data/meta.mat': mat.getvalue(),
        f'{root}/data/ILSVRC2012_validation_ground_truth.txt': truth,
    }
    return members


_write_element = _mio5.VarWriter5.write_element


def _write_as_matlab(writer, array, mdtype=None):
    """Write texts in 16 bits a letter, as MATLAB itself does."""
    if mdtype == _mio5.miUTF8:
        array, mdtype = array.view(np.uint8).astype(np.uint16), None
    _write_element(writer, array, mdtype)


class Tars:
    """A folder of the archives, which counts as the real one."""

    def __init__(self, folder, monkeypatch):
        self.folder, self._patch = folder, monkeypatch
        folder.mkdir()
        self.write('train', tar({f'{w}.tar': tar(i) for w, i in train_images().items()}))
        self.write('val', tar(val_images()))
        self.write('devkit', gzip.compress(tar(devkit())))

    def path(self, split):
        return self.folder / ARCHIVE_META[split][0]

    def write(self, split, content):
        """Write an archive, and let its MD5 be right."""
        self.path(split).write_bytes(content)
        md5 = hashlib.md5(content).hexdigest()
        self._patch.setitem(ARCHIVE_META, split, (self.path(split).name, md5))


def write_folder(folder, pack_to, edge=400, quality=90):
    """Write the training images into class folders, and pack them.

    Args:
        folder (Path): Gets ``train``.
        pack_to (Path): Gets the packed images.
        edge (int): To which they are shrunk. Default: none is.
        quality (int | str): Of what is shrunk, or ``'raw'``. Default: 90.

    Returns:
        tuple[Path, Path]: Both.
    """
    for wnid, images in train_images().items():
        (folder / 'train' / wnid).mkdir(parents=True)
        for name, content in images.items():
            (folder / 'train' / wnid / name).write_bytes(content)
    # Some images a shard.
    with mock.patch.object(packing, 'SHARD_BYTES', 4000):
        dataset = CustomDataset(str(folder), data_prefix='train')
        packing.pack(dataset, 'train', pack_to, edge, quality, jobs=1)
    return folder, pack_to
