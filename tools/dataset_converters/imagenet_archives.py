"""ImageNet's archives: checked, and unpacked to the folders that MMPretrain reads."""

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import mat4py
from mmpretrain.datasets.categories import IMAGENET_CATEGORIES
from torchvision.datasets.imagenet import ARCHIVE_META

from dhm_plugin.checkpoints.files import remove_unfinished, written_at_once
from progress import Progress

STATE = '.prepared.json'
_PLAIN = re.compile(r'\w[\w.-]*')
_CLASS = re.compile(r'(n\d{8})\.tar')
_VAL = re.compile(r'ILSVRC2012_val_(\d{8})\.JPEG')
# Bytes that are read at once, and from one look at the bar to the next.
_STEP = 1 << 24


class ArchiveError(ValueError):
    """An archive or a folder that cannot be used; the message names it."""


def unpack(tars: Path, out: Path, subset: int | None = None) -> None:
    """Bring ImageNet from its archives to the layout of MMPretrain's ``ImageNet``.

    A class folder of training images, and the folder of all validation images, is
    written aside and moved in place as a whole. When it is killed, another call goes on:
    a folder in its place is left alone, and in a folder aside the images that equal those
    of the archive. What was checked or finished is noted in ``.prepared.json``.

    Args:
        tars (Path): Folder with the three archives. In place of that of the validation
            images it may have a folder ``val`` of the images.
        out (Path): Folder that gets ``train``, ``val``, ``meta``, and with ``subset``
            ``classes.txt``.
        subset (int, optional): Take the first so many classes, in MMPretrain's order.
            Defaults to None: all.

    Raises:
        ArchiveError: If an archive is missing, damaged or another one, has a member that
            would leave its folder, or ``out`` has something else.
        CheckpointError: If a list cannot be written.
        OSError: If something cannot be read.
    """
    most = len(IMAGENET_CATEGORIES)
    if subset is not None and not 0 < subset <= most:
        raise ArchiveError(f'--subset {subset}: must be 1 to {most} classes')
    state = _State(out, subset)
    if {'train', 'val'} <= {*state.done}:
        return
    paths = _found(tars)
    for folder in (out, out / 'meta'):
        remove_unfinished(folder, '*')
    state.write()
    _check(paths, state)
    wnid_of, truth = read_devkit(paths['devkit'])
    wnids = sorted(wnid_of.values())[:subset]
    if 'train' not in state.done:
        _unpack_train(paths['train'], out / 'train', wnids)
        _finish('train', out, wnids, state)
    if 'val' not in state.done:
        _unpack_val(paths['val'], out / 'val', [wnid_of[i] for i in truth], wnids)
        _finish('val', out, wnids, state)


class _State:
    """What is done in the folder, as it stands there in a file."""

    def __init__(self, out: Path, subset: int | None) -> None:
        self.path = out / STATE
        self.subset, self.checked, self.done = subset, {}, []
        if self.path.exists():
            found = json.loads(self.path.read_text())
            if found['subset'] != subset:
                which = 'all classes' if found['subset'] is None else found['subset']
                raise ArchiveError(
                    f'{out}: is prepared with --subset {which}; take the same, or another'
                    ' folder'
                )
            self.checked, self.done = found['checked'], found['done']
        elif any((out / split).exists() for split in ('train', 'val')):
            raise ArchiveError(
                f'{out}: has images that prepare_imagenet.py has not put there; take '
                'another folder'
            )

    def write(self) -> None:
        content = dict(subset=self.subset, checked=self.checked, done=self.done)
        with written_at_once(self.path) as temporary:
            temporary.write_text(json.dumps(content))


def _found(tars: Path) -> dict[str, Path]:
    paths = {split: tars / name for split, (name, _) in ARCHIVE_META.items()}
    if not paths['val'].exists() and (tars / 'val').is_dir():
        paths['val'] = tars / 'val'
    missing = [path.name for path in paths.values() if not path.exists()]
    if missing:
        raise ArchiveError(
            f'{tars}: lacks {", ".join(missing)}; see image-net.org/download'
        )
    return paths


def _check(paths: dict[str, Path], state: _State) -> None:
    """Compare the archives' MD5; what was compared before, and is as it was, passes."""
    tasks = []
    for split, path in paths.items():
        if path.is_file():
            stat, md5 = path.stat(), ARCHIVE_META[split][1]
            mark = [str(path.resolve()), stat.st_size, stat.st_mtime_ns, md5]
            if state.checked.get(split) != mark:
                tasks.append((split, path, mark))
    with _Watched('checking the archives', sum(mark[1] for *_, mark in tasks)) as shown:
        for split, path, mark in tasks:
            digest = hashlib.md5(usedforsecurity=False)
            with path.open('rb') as file:
                while block := file.read(_STEP):
                    digest.update(block)
                    shown.add(len(block), path.name)
            if digest.hexdigest() != mark[-1]:
                raise ArchiveError(
                    f'{path}: is damaged or another file; its MD5 is '
                    f'{digest.hexdigest()} and must be {mark[-1]}; take another copy'
                )
            state.checked[split] = mark
            state.write()


def read_devkit(path: Path) -> tuple[dict[int, str], list[int]]:
    """Read the classes, and those of the validation images.

    Args:
        path (Path): The devkit's archive.

    Returns:
        tuple[dict[int, str], list[int]]: ImageNet's number of a class to its WordNet ID,
        and the number of the class of each validation image.

    Raises:
        ArchiveError: If it cannot be read.
    """
    wanted = ('data/meta.mat', 'data/ILSVRC2012_validation_ground_truth.txt')
    name = 'its table of contents'
    try:
        with tarfile.open(path) as archive:
            names = archive.getnames()
            contents = []
            for name in wanted:
                member = next(n for n in names if n.endswith(f'/{name}'))
                contents.append(archive.extractfile(member).read())
        name = wanted[0]
        synsets = mat4py.loadmat(io.BytesIO(contents[0]))['synsets']
        # The others are groups of classes.
        wnid_of = {
            int(number): wnid
            for number, wnid, children in zip(
                synsets['ILSVRC2012_ID'], synsets['WNID'], synsets['num_children']
            )
            if not children
        }
        name = wanted[1]
        truth = [int(line) for line in contents[1].split()]
        if not {*truth} <= {*wnid_of}:
            raise ValueError('it has classes that meta.mat has not')
    except Exception as error:  # damaged files make these readers raise about anything
        raise ArchiveError(
            f'{path}: {name} cannot be read: {error or type(error).__name__}; take '
            'another copy'
        ) from error
    return wnid_of, truth


def _unpack_train(path: Path, folder: Path, wnids: Sequence[str]) -> None:
    with path.open('rb') as file:
        archives = {}
        for member in _members(file, path.name, 0, path.stat().st_size):
            match = _CLASS.fullmatch(member.name)
            if match is None:
                raise ArchiveError(f'{path.name}: {member.name} is no tar of a class')
            archives[match[1]] = member
        missing = [wnid for wnid in wnids if wnid not in archives]
        if missing:
            raise ArchiveError(
                f'{path}: lacks {len(missing)} classes, first {missing[0]}.tar'
            )
        left = [archives[wnid] for wnid in wnids if not (folder / wnid).exists()]
        total = sum(member.size for member in left)
        with _Watched('unpacking the training images', total) as shown:
            for member in left:
                name = f'{path.name}: {member.name}'
                start = member.offset_data
                with _at_once(folder / member.name.removesuffix('.tar')) as aside:
                    for image in _members(file, name, start, start + member.size):
                        _write(aside / image.name, _content(file, image))
                        shown.add(image.size, member.name)


def _unpack_val(
    source: Path, folder: Path, wnids: Sequence[str], kept: Sequence[str]
) -> None:
    """Put validation images into class folders.

    Args:
        source (Path): Their archive, or a folder of them.
        folder (Path): Where the class folders go.
        wnids (Sequence[str]): The class of each image.
        kept (Sequence[str]): The classes that are taken.
    """
    if folder.exists():  # killed when it was in its place, and not noted yet
        return
    missing = {*range(len(wnids))}
    with _val_images(source) as (images, total), _at_once(folder) as aside:
        for wnid in kept:
            (aside / wnid).mkdir(exist_ok=True)
        with _Watched('unpacking the validation images', total) as shown:
            for name, size, content in images:
                match = _VAL.fullmatch(name)
                number = int(match[1]) - 1 if match else -1
                if not 0 <= number < len(wnids):
                    raise ArchiveError(
                        f'{source}: {name} is none of the {len(wnids)} validation images'
                    )
                missing.discard(number)
                if wnids[number] in kept:
                    _write(aside / wnids[number] / name, content())
                shown.add(size, name)
        if missing:
            raise ArchiveError(
                f'{source}: lacks {len(missing)} of {len(wnids)} images, first '
                f'ILSVRC2012_val_{min(missing) + 1:08}.JPEG'
            )


@contextmanager
def _val_images(
    source: Path,
) -> Iterator[tuple[Iterator[tuple[str, int, Callable[[], bytes]]], int]]:
    """Give names, sizes and contents of validation images, and the sum of the sizes."""
    if source.is_dir():
        paths = sorted(source.iterdir())
        sizes = [path.stat().st_size for path in paths]
        images = zip((path.name for path in paths), sizes, (p.read_bytes for p in paths))
        yield images, sum(sizes)
        return
    total = source.stat().st_size
    with source.open('rb') as file:
        yield (
            (
                (member.name, member.size, lambda member=member: _content(file, member))
                for member in _members(file, source.name, 0, total)
            ),
            total,
        )


def _members(
    file: BinaryIO, name: str, start: int, end: int
) -> Iterator[tarfile.TarInfo]:
    """Give the members of a tar that lies in a file, all of them plain files.

    Args:
        file (BinaryIO): The file.
        name (str): The tar's, for errors.
        start (int): Its first byte in the file.
        end (int): The byte after it.

    Yields:
        tarfile.TarInfo: A member, whose content is there as a whole.

    Raises:
        ArchiveError: If the tar is damaged, or a member is anything but a file in the
            folder of the tar.
    """
    last = 'its first byte'
    file.seek(start)
    try:
        with tarfile.open(fileobj=file, mode='r:') as archive:
            for member in archive:
                plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE)
                if not plain or member.issparse() or not _PLAIN.fullmatch(member.name):
                    raise ArchiveError(
                        f'{name}: {member.name!r} is refused; a member must be a file, '
                        'with a name that stays in its folder'
                    )
                last = member.name
                if member.offset_data + member.size > end:
                    raise tarfile.ReadError('it is truncated')
                yield member
            # At a header that is none, tarfile stops without a word.
            file.seek(archive.offset)
            if file.read(min(tarfile.BLOCKSIZE, end - archive.offset)).strip(b'\0'):
                raise tarfile.ReadError('no header follows')
    except tarfile.TarError as error:
        raise ArchiveError(
            f'{name}: is damaged at or after {last}: {error}; take another copy'
        ) from error


def _content(file: BinaryIO, member: tarfile.TarInfo) -> bytes:
    file.seek(member.offset_data)
    return file.read(member.size)


@contextmanager
def _at_once(folder: Path) -> Iterator[Path]:
    """Give a folder beside a folder, and move it there when all is on the disk."""
    aside = folder.with_name(f'.{folder.name}.unfinished')
    aside.mkdir(parents=True, exist_ok=True)
    yield aside
    # Once a folder and not once an image: a folder that survives a power cut in its
    # place is whole.
    os.sync()
    aside.rename(folder)


def _write(path: Path, content: bytes) -> None:
    """Write an image, unless it is there; leave no half of one."""
    try:
        if path.exists() and path.read_bytes() == content:
            return
        path.write_bytes(content)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ArchiveError(f'{path}: cannot be written: {error}') from error
        raise


def _finish(split: str, out: Path, wnids: Sequence[str], state: _State) -> None:
    """Write the lists, which spare MMPretrain to search the folders."""
    lines = [
        f'{wnid}/{name} {label}\n'
        for label, wnid in enumerate(wnids)
        for name in sorted(os.listdir(out / split / wnid))
    ]
    with written_at_once(out / 'meta' / f'{split}.txt') as path:
        path.write_text(''.join(lines))
    if state.subset is not None:
        with written_at_once(out / 'classes.txt') as path:
            path.write_text('\n'.join(IMAGENET_CATEGORIES[: len(wnids)]) + '\n')
    state.done.append(split)
    state.write()


class _Watched(Progress):
    """Counts bytes, and shows them now and then: to show them takes longer."""

    def __init__(self, what: str, total: int) -> None:
        super().__init__(what, max(1, total))
        self._bytes = self._shown = 0

    def add(self, size: int, doing: str) -> None:
        self._bytes += size
        if self._bytes - self._shown >= _STEP:
            self._shown = self._bytes
            self.update(self._bytes, doing)
