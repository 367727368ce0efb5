"""What lies where in packed images.

A split, such as ``train``, is some files in one folder:

======================= =================================================================
``train.json``          the settings and the classes
``train-00000.tar``     a shard: a plain tar of the images
``train-00000.npz``     its index: ``images`` (:data:`FIELDS` and the name), ``bytes`` and
                        ``sha256`` of the tar, its ``number``, and the SHA-256 of the
                        ``settings``. It is written last.
``train.sha256``        for ``sha256sum -c``
======================= =================================================================
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Of an image: its place in the data set, its first byte in the tar, the number of its
# bytes, their CRC-32, its label, and whether it could be decoded.
FIELDS = [
    ('number', '<u4'),
    ('offset', '<u8'),
    ('size', '<u4'),
    ('crc', '<u4'),
    ('label', '<i4'),
    ('decodable', '|b1'),
]
AGAIN = 'prepare_imagenet.py --pack writes it again'
_SETTINGS = dict(
    edge=(int, type(None)),
    quality=(int, str, type(None)),
    seed=int,
    images=int,
    source=str,
    classes=list,
    shards=int,
)


class PackError(ValueError):
    """Packed images that cannot be used; the message names the file."""


@dataclass
class Shard:
    """A shard and its index.

    Attributes:
        path (Path): The tar.
        sha256 (str): Of the tar.
        images (np.ndarray): Of :data:`FIELDS` and ``name``, the member's, in UTF-8.
    """

    path: Path
    sha256: str
    images: np.ndarray


def settings_path(folder: Path, split: str) -> Path:
    """Name the file of a split's settings."""
    return folder / f'{split}.json'


def shard_path(folder: Path, split: str, number: int) -> Path:
    """Name the tar of a shard."""
    return folder / f'{split}-{number:05}.tar'


def read_settings(folder: Path, split: str) -> dict:
    """Read how a split was packed.

    Args:
        folder (Path): The folder.
        split (str): ``'train'`` or ``'val'``.

    Returns:
        dict: ``edge`` (int or None), ``quality`` (int, ``'raw'`` or None), ``seed``,
        ``images``, ``shards`` (how many), ``source`` (SHA-256 of names, labels and sizes)
        and ``classes``.

    Raises:
        PackError: If there is no such file, or it is damaged.
    """
    path = settings_path(folder, split)
    try:
        settings = json.loads(path.read_text())
        for key, kind in _SETTINGS.items():
            if not isinstance(settings[key], kind):
                raise ValueError(f'{key} is {settings[key]!r}')
        return settings
    except FileNotFoundError as error:
        raise PackError(
            f'{path}: there is no such file; prepare_imagenet.py --pack writes it'
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise PackError(
            f'{path}: is damaged: {error!r}; remove it and all of {split}, and pack again'
        ) from error


def settings_digest(settings: dict) -> str:
    """Give the SHA-256 of settings, by which a shard knows its own."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def read_split(folder: Path, split: str) -> tuple[dict, list[Shard]]:
    """Read what lies where in a split.

    Args:
        folder (Path): The folder.
        split (str): ``'train'`` or ``'val'``.

    Returns:
        tuple[dict, list[Shard]]: As :func:`read_settings` gives it, and all shards.

    Raises:
        PackError: If a file is missing, truncated or damaged, or of another packing.
    """
    settings = read_settings(folder, split)
    shards = [read_shard(folder, split, i, settings) for i in range(settings['shards'])]
    numbers = sorted(i for shard in shards for i in shard.images['number'].tolist())
    if numbers != list(range(settings['images'])):
        raise PackError(
            f'{folder}: the shards of {split} have not each of the {settings["images"]} '
            'images once; remove them, and pack again'
        )
    return settings, shards


def read_shard(folder: Path, split: str, number: int, settings: dict) -> Shard:
    """Read the index of a shard, and compare the size of the tar.

    Args:
        folder (Path): The folder.
        split (str): ``'train'`` or ``'val'``.
        number (int): Of the shard, from 0 on.
        settings (dict): As :func:`read_settings` gives them.

    Returns:
        Shard: What lies where.

    Raises:
        PackError: If the tar or its index is missing, truncated, damaged, or another
            one's.
    """
    tar = shard_path(folder, split, number)
    path = tar.with_suffix('.npz')
    try:
        with np.load(path, allow_pickle=False) as index:
            images, size = index['images'], int(index['bytes'])
            sha256 = str(index['sha256'])
            own = int(index['number']), str(index['settings'])
        if images.dtype.descr[:-1] != FIELDS:
            raise ValueError(f'its fields are {images.dtype}')
        found = tar.stat().st_size
    except FileNotFoundError as error:
        raise PackError(f'{error.filename}: is missing; {AGAIN}') from error
    except Exception as error:  # damaged files make NumPy raise about anything
        raise PackError(f'{path}: is damaged: {error!r}; {AGAIN}') from error
    if own != (number, settings_digest(settings)):
        raise PackError(
            f'{path}: is of another shard or of other settings than {split}.json has; '
            f'{AGAIN}'
        )
    if found != size:
        raise PackError(
            f'{tar}: is truncated or another file; it has {found} bytes and must have '
            f'{size}; {AGAIN}'
        )
    return Shard(tar, sha256, images)


def fingerprint(settings: dict, shards: Iterable[Shard]) -> str:
    """Give the SHA-256 of the settings, the classes and what all shards hold.

    Args:
        settings (dict): As :func:`read_settings` gives them.
        shards (Iterable[Shard]): All of them, in their order.

    Returns:
        str: 64 hexadecimal digits.
    """
    digest = hashlib.sha256(settings_digest(settings).encode())
    for shard in shards:
        digest.update(shard.sha256.encode())
        digest.update(shard.images.tobytes())
    return digest.hexdigest()
