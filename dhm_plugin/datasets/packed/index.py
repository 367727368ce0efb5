"""What lies where in packed images.

A split, such as ``train``, is some files in one folder:

======================= =================================================================
``train.json``          the settings and the classes
``train-00000.tar``     a shard: a plain tar of the images
``train-00000.npz``     its index: ``images`` (:data:`FIELDS` and the name), ``bytes`` and
                        ``sha256`` of the tar. It is written last.
``train.sha256``        for ``sha256sum -c``
======================= =================================================================
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Of an image: its place in the data set, its first byte in the tar, the number of its
# bytes, their CRC-32, and its label.
FIELDS = [
    ('number', '<u4'),
    ('offset', '<u8'),
    ('size', '<u4'),
    ('crc', '<u4'),
    ('label', '<i4'),
]
_AGAIN = 'prepare_imagenet.py --pack writes it again'


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
        dict: ``edge`` (int or None), ``quality``, ``seed``, ``images``, ``shards`` (how
        many), ``source`` (what was packed) and ``classes``.

    Raises:
        PackError: If there is no such file, or it is damaged.
    """
    path = settings_path(folder, split)
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise PackError(
            f'{path}: there is no such file; prepare_imagenet.py --pack writes it'
        ) from error
    except ValueError as error:
        raise PackError(f'{path}: is damaged: {error}') from error


def read_shard(folder: Path, split: str, number: int) -> Shard:
    """Read the index of a shard, and compare the size of the tar.

    Args:
        folder (Path): The folder.
        split (str): ``'train'`` or ``'val'``.
        number (int): Of the shard, from 0 on.

    Returns:
        Shard: What lies where.

    Raises:
        PackError: If the tar or its index is missing, truncated or damaged.
    """
    tar = shard_path(folder, split, number)
    path = tar.with_suffix('.npz')
    try:
        with np.load(path, allow_pickle=False) as index:
            images, size = index['images'], int(index['bytes'])
            sha256 = str(index['sha256'])
        found = tar.stat().st_size
    except FileNotFoundError as error:
        raise PackError(f'{error.filename}: is missing; {_AGAIN}') from error
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise PackError(f'{path}: is damaged: {error}; {_AGAIN}') from error
    if found != size:
        raise PackError(
            f'{tar}: is truncated or another file; it has {found} bytes and must have '
            f'{size}; {_AGAIN}'
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
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for shard in shards:
        digest.update(shard.sha256.encode())
        digest.update(shard.images.tobytes())
    return digest.hexdigest()
