"""Packs images into few large files: shrunk once, and in one random order."""

import json
import multiprocessing
import os
import tarfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmpretrain.datasets import CustomDataset
from PIL import ExifTags, Image

from dhm_plugin.checkpoints.files import remove_unfinished, written_at_once
from dhm_plugin.datasets.packed.index import (
    FIELDS,
    PackError,
    fingerprint,
    read_settings,
    read_shard,
    read_split,
    settings_digest,
    settings_path,
    shard_path,
)
from dhm_plugin.datasets.transforms.load_image_from_file import decode, ends_as_jpeg
from dhm_plugin.datasets.transforms.netpbm import to_netpbm
from dhm_plugin.engine.end_with_parent import end_with_parent
from progress import Progress

SHARD_BYTES = 1 << 28
SEED = 0
# In the place of a quality.
RAW = 'raw'
_SAMPLE = 64


class Source(NamedTuple):
    """An image to be packed."""

    number: int
    path: str
    name: str
    label: int


def pack(
    dataset: CustomDataset,
    split: str,
    folder: Path,
    edge: int | None,
    quality: int | str | None,
    jobs: int,
) -> str:
    """Pack the images of a data set.

    When it is killed, another call goes on with the shards that are not there.

    Args:
        dataset (CustomDataset): The images; it need not be initialised.
        split (str): ``'train'``, whose images get a random order, or ``'val'``, which is
            read in its own.
        folder (Path): Where the shards go.
        edge (int | None): Larger JPEGs are shrunk to this short edge, in pixels; None:
            none is.
        quality (int | str | None): Of the JPEGs that were shrunk, 1 to 100;
            ``'raw'``: all images are shrunk so and packed as pixels, as :func:`raw` does.
        jobs (int): Number of processes.

    Returns:
        str: What is there, in a line; more lines name images that cannot be decoded.

    Raises:
        PackError: If the folder has shards of other settings or images, or an image
            cannot be read.
        CheckpointError: If something cannot be written.
    """
    infos = dataset.load_data_list()
    sources = [
        Source(i, path, os.path.relpath(path, dataset.img_prefix), info['gt_label'])
        for i, info in enumerate(infos)
        for path in [info['img_path']]
    ]
    order = range(len(sources))
    if split == 'train':
        # By a hash: generators of random numbers may change with their library.
        keys = [sha256(f'{SEED} {source.name}'.encode()).digest() for source in sources]
        order = sorted(order, key=keys.__getitem__)
    settings = _settings(sources, dataset.CLASSES, order, split, folder, edge, quality)
    remove_unfinished(folder, f'{split}*')
    tasks = {
        number: [sources[i] for i in part]
        for number, part in enumerate(np.array_split(order, settings['shards']))
        if not _is_there(folder, split, number, settings)
    }
    _write_shards(folder, split, tasks, settings, jobs)
    _, shards = read_split(folder, split)
    undecodable = [
        row['name'].decode()
        for shard in shards
        for row in shard.images[~shard.images['decodable']]
    ]
    with written_at_once(folder / f'{split}.sha256') as path:
        path.write_text(''.join(f'{s.sha256}  {s.path.name}\n' for s in shards))
    lines = [f'{name}: cannot be decoded, and is packed as it is' for name in undecodable]
    return '\n'.join(
        [
            *lines,
            f'{folder}: {len(sources)} images of {split} in {len(shards)} shards, '
            f'fingerprint {fingerprint(settings, shards)}',
        ]
    )


def _settings(
    sources: Sequence[Source],
    classes: Sequence[str],
    order: Sequence[int],
    split: str,
    folder: Path,
    edge: int | None,
    quality: int | str | None,
) -> dict:
    """Give the settings that are in the folder, if they are these; or note them there."""
    digest = sha256()
    for source in sources:
        try:
            size = os.path.getsize(source.path)
        except OSError as error:
            raise PackError(f'{source.path}: cannot be read: {error}') from error
        digest.update(f'{source.name} {source.label} {size}\n'.encode())
    settings = dict(
        edge=edge,
        quality=quality,
        seed=SEED,
        images=len(sources),
        source=digest.hexdigest(),
        classes=list(classes),
    )
    path = settings_path(folder, split)
    if path.exists():
        found = read_settings(folder, split)
        for key, value in settings.items():
            if found[key] != value:
                differ = {
                    'classes': 'names of classes differ',
                    'source': 'names, labels or sizes of images differ',
                }
                raise PackError(
                    f'{path}: {split} is packed with another {key}: '
                    + differ.get(key, f'{found[key]} and not {value}')
                    + '; take the same, or another folder with --packed'
                )
        return found
    old = sorted(folder.glob(f'{split}-*.tar'))
    if old:
        raise PackError(
            f'{path}: is missing, and {old[0].name} was packed with it; remove all of '
            f'{split}, or take another folder with --packed'
        )
    sample = [sources[i] for i in order[:: -(-len(order) // _SAMPLE)]]
    mean = np.mean([len(_packed(source, edge, quality)[0]) for source in sample])
    shards = round(len(sources) * mean / SHARD_BYTES)
    settings['shards'] = min(max(1, shards), len(sources))
    with written_at_once(path) as temporary:
        temporary.write_text(json.dumps(settings))
    return settings


def _is_there(folder: Path, split: str, number: int, settings: dict) -> bool:
    try:
        read_shard(folder, split, number, settings)
    except PackError:
        return False
    return True


def _write_shards(
    folder: Path,
    split: str,
    tasks: dict[int, list[Source]],
    settings: dict,
    jobs: int,
) -> None:
    done = 0
    total = sum(map(len, tasks.values()))
    context = multiprocessing.get_context('fork')
    with (
        Progress(f'packing {split}', max(1, total)) as shown,
        ProcessPoolExecutor(jobs, context, end_with_parent) as pool,
    ):
        running = {
            pool.submit(_write_shard, folder, split, number, sources, settings): len(
                sources
            )
            for number, sources in tasks.items()
        }
        try:
            for future in as_completed(running):
                future.result()
                done += running[future]
                shown.update(done)
        except BrokenProcessPool as error:
            raise PackError(
                'a process was ended by another, as for want of memory; take fewer --jobs'
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _write_shard(
    folder: Path,
    split: str,
    number: int,
    sources: Sequence[Source],
    settings: dict,
) -> None:
    """Write one shard, then its index."""
    path, rows = shard_path(folder, split, number), []
    index = path.with_suffix('.npz')
    index.unlink(missing_ok=True)  # of a shard that is truncated
    with written_at_once(path) as temporary:
        with tarfile.open(temporary, 'w', format=tarfile.GNU_FORMAT) as archive:
            for source in sources:
                content, decodable = _packed(
                    source, settings['edge'], settings['quality']
                )
                is_raw = decodable and settings['quality'] == RAW
                name = f'{source.name}.ppm' if is_raw else source.name
                member = tarfile.TarInfo(name)
                member.size = size = len(content)
                archive.addfile(member, BytesIO(content))
                # The content is filled up to whole blocks.
                blocks = -(-size // tarfile.BLOCKSIZE)
                offset = archive.offset - blocks * tarfile.BLOCKSIZE
                place = source.number, offset, size, zlib.crc32(content)
                rows.append((*place, source.label, decodable, name.encode()))
        digest = sha256()
        with temporary.open('rb') as file:
            while block := file.read(1 << 22):
                digest.update(block)
        size = temporary.stat().st_size
    longest = max(len(name) for *_, name in rows)
    images = np.array(rows, [*FIELDS, ('name', f'S{longest}')])
    with written_at_once(index) as temporary:
        np.savez_compressed(
            temporary,
            images=images,
            bytes=size,
            sha256=digest.hexdigest(),
            number=number,
            settings=settings_digest(settings),
        )


def _packed(
    source: Source, edge: int | None, quality: int | str | None
) -> tuple[bytes, bool]:
    """Read an image and shrink it; what cannot be decoded stays as it is."""
    try:
        content = Path(source.path).read_bytes()
    except OSError as error:
        raise PackError(f'{source.path}: cannot be read: {error}') from error
    try:
        if quality == RAW:
            return raw(content, edge), True
        packed = content if edge is None else shrunk(content, edge, quality)
        # What ends as a JPEG is not decoded, to save time.
        if packed is content and not ends_as_jpeg(content):
            decode(content)
        return packed, True
    except Exception:  # Pillow raises about anything at a damaged file
        return content, False


def shrunk(content: bytes, edge: int, quality: int) -> bytes:
    """Shrink a JPEG.

    Args:
        content (bytes): Of the file.
        edge (int): The short edge of the result, in pixels.
        quality (int): Of the result.

    Returns:
        bytes: A JPEG of the same mode, to be turned the same way; the same bytes where
        the image is no larger, or anything but a JPEG in colour or grey.

    Raises:
        Exception: Whatever Pillow raises at what it cannot decode.
    """
    with Image.open(BytesIO(content)) as image:
        short = min(image.size)
        if image.format != 'JPEG' or image.mode not in ('RGB', 'L') or short <= edge:
            return content
        small = _resized(image, edge)
        # Of EXIF, only how to turn it is left: the pixels are those of the file.
        exif = Image.Exif()
        turned = image.getexif().get(ExifTags.Base.Orientation)
        if turned is not None:
            exif[ExifTags.Base.Orientation] = turned
        buffer = BytesIO()
        profile = image.info.get('icc_profile')
        small.save(buffer, 'JPEG', quality=quality, exif=exif, icc_profile=profile)
        return buffer.getvalue()


def raw(content: bytes, edge: int | None) -> bytes:
    """Decode an image, and shrink it.

    Args:
        content (bytes): Of the file.
        edge (int | None): The short edge of the result, in pixels, if the image is
            larger; None: it is not shrunk.

    Returns:
        bytes: A binary netpbm of the upright image, in RGB.

    Raises:
        Exception: Whatever Pillow raises at what it cannot decode.
    """
    image = Image.fromarray(decode(content)[:, :, ::-1])
    if edge is not None and min(image.size) > edge:
        image = _resized(image, edge)
    return to_netpbm(np.asarray(image))


def _resized(image: Image.Image, edge: int) -> Image.Image:
    short = min(image.size)
    size = [round(side * edge / short) for side in image.size]
    return image.resize(size, Image.Resampling.LANCZOS)
