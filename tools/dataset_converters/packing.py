"""Packs images into few large files: shrunk once, and in one random order."""

import hashlib
import json
import multiprocessing
import os
import tarfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmpretrain.datasets import CustomDataset
from PIL import Image

from dhm_plugin.checkpoints.files import remove_unfinished, written_at_once
from dhm_plugin.datasets.packed.index import (
    FIELDS,
    PackError,
    fingerprint,
    read_settings,
    read_shard,
    settings_path,
    shard_path,
)
from dhm_plugin.engine.end_with_parent import end_with_parent
from progress import Progress

SHARD_BYTES = 1 << 28
SEED = 0
_SAMPLE = 64
_ORIENTATION = 0x0112


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
    quality: int | None,
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
        quality (int | None): Of the JPEGs that were shrunk, 1 to 100.
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
    order = np.arange(len(sources))
    if split == 'train':
        np.random.default_rng(SEED).shuffle(order)
    settings = _settings(sources, dataset.CLASSES, order, split, folder, edge, quality)
    remove_unfinished(folder, f'{split}*')
    tasks = {
        number: [sources[i] for i in part]
        for number, part in enumerate(np.array_split(order, settings['shards']))
        if not _is_there(folder, split, number)
    }
    undecodable = _write_shards(folder, split, tasks, edge, quality, jobs)
    shards = [read_shard(folder, split, i) for i in range(settings['shards'])]
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
    order: np.ndarray,
    split: str,
    folder: Path,
    edge: int | None,
    quality: int | None,
) -> dict:
    """Give the settings that are in the folder, if they are these; or note them there."""
    content = ''.join(f'{source.name} {source.label}\n' for source in sources)
    settings = dict(
        edge=edge,
        quality=quality,
        seed=SEED,
        images=len(sources),
        source=hashlib.sha256(content.encode()).hexdigest(),
        classes=list(classes),
    )
    path = settings_path(folder, split)
    if path.exists():
        found = read_settings(folder, split)
        for key, value in settings.items():
            if found[key] != value:
                raise PackError(
                    f'{path}: {split} is packed with another {key}'
                    + (f', {found[key]} and not {value}' if key != 'classes' else '')
                    + '; take the same, or another folder with --packed'
                )
        return found
    sample = [sources[i] for i in order[:: -(-len(order) // _SAMPLE)]]
    mean = np.mean([len(_packed(source, edge, quality)[0]) for source in sample])
    settings['shards'] = max(1, round(len(sources) * mean / SHARD_BYTES))
    with written_at_once(path) as temporary:
        temporary.write_text(json.dumps(settings))
    return settings


def _is_there(folder: Path, split: str, number: int) -> bool:
    try:
        read_shard(folder, split, number)
    except PackError:
        return False
    return True


def _write_shards(
    folder: Path,
    split: str,
    tasks: dict[int, list[Source]],
    edge: int | None,
    quality: int | None,
    jobs: int,
) -> list[str]:
    done, undecodable = 0, []
    total = sum(map(len, tasks.values()))
    context = multiprocessing.get_context('fork')
    with (
        Progress(f'packing {split}', max(1, total)) as shown,
        ProcessPoolExecutor(jobs, context, end_with_parent) as pool,
    ):
        running = {
            pool.submit(_write_shard, folder, split, number, sources, edge, quality): len(
                sources
            )
            for number, sources in tasks.items()
        }
        try:
            for future in as_completed(running):
                undecodable += future.result()
                done += running[future]
                shown.update(done)
        except BrokenProcessPool as error:
            raise PackError(
                'a process was ended by another, as for want of memory; take fewer --jobs'
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
    return undecodable


def _write_shard(
    folder: Path,
    split: str,
    number: int,
    sources: Sequence[Source],
    edge: int | None,
    quality: int | None,
) -> list[str]:
    """Write one shard, then its index, and name the images that cannot be decoded."""
    path, rows, undecodable = shard_path(folder, split, number), [], []
    index = path.with_suffix('.npz')
    index.unlink(missing_ok=True)  # of a shard that is truncated
    with written_at_once(path) as temporary:
        with tarfile.open(temporary, 'w', format=tarfile.GNU_FORMAT) as archive:
            for source in sources:
                content, decodable = _packed(source, edge, quality)
                if not decodable:
                    undecodable.append(source.name)
                member = tarfile.TarInfo(source.name)
                member.size = size = len(content)
                archive.addfile(member, BytesIO(content))
                # The content is filled up to whole blocks.
                blocks = -(-size // tarfile.BLOCKSIZE)
                offset = archive.offset - blocks * tarfile.BLOCKSIZE
                name = source.name.encode()
                crc = zlib.crc32(content)
                rows.append((source.number, offset, size, crc, source.label, name))
        digest = hashlib.sha256()
        with temporary.open('rb') as file:
            while block := file.read(1 << 22):
                digest.update(block)
        size = temporary.stat().st_size
    longest = max(len(name) for *_, name in rows)
    images = np.array(rows, [*FIELDS, ('name', f'S{longest}')])
    with written_at_once(index) as temporary:
        np.savez_compressed(
            temporary, images=images, bytes=size, sha256=digest.hexdigest()
        )
    return undecodable


def _packed(source: Source, edge: int | None, quality: int | None) -> tuple[bytes, bool]:
    """Read an image and shrink it; what cannot be decoded stays as it is."""
    try:
        content = Path(source.path).read_bytes()
    except OSError as error:
        raise PackError(f'{source.path}: cannot be read: {error}') from error
    if edge is None:
        return content, True
    try:
        return shrunk(content, edge, quality), True
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
        size = [round(side * edge / short) for side in image.size]
        small = image.resize(size, Image.Resampling.LANCZOS)
        # Of EXIF, only how to turn it is left: the pixels are those of the file.
        exif = Image.Exif()
        if _ORIENTATION in image.getexif():
            exif[_ORIENTATION] = image.getexif()[_ORIENTATION]
        buffer = BytesIO()
        profile = image.info.get('icc_profile')
        small.save(buffer, 'JPEG', quality=quality, exif=exif, icc_profile=profile)
        return buffer.getvalue()
