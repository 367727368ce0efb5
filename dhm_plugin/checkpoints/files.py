"""Safe reading and all-or-nothing writing of checkpoint files."""

import errno
import io
import json
import os
import pickle
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from ..archive import DamagedArchive, verify_archive

_UNFINISHED = '.unfinished'
# Of a file system that cannot flush a folder, and of a folder that must not be read.
_NOT_FLUSHED = errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EACCES, errno.EPERM


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says why and what would be right."""


def read_state_dict(
    path: str | Path,
) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    """Read the weights of a checkpoint without running any code in it.

    Args:
        path (str | Path): A file with a bare state dict, or with a dict that has one
            under ``state_dict``. Its keys may all begin with ``module.``, as
            ``DataParallel`` writes them.

    Returns:
        tuple[dict[str, torch.Tensor], dict[str, object]]: The weights by key, on the
        CPU, without ``module.``; and whatever else the file holds.

    Raises:
        CheckpointError: If there is no such file, or it is damaged, holds anything but
            tensors and plain data, or holds no state dict.
    """
    try:
        content = _load(Path(path))
    except ImportError:
        raise
    except FileNotFoundError as error:
        raise CheckpointError(f'{path}: there is no such file') from error
    except DamagedArchive as error:
        raise CheckpointError(str(error)) from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f'{path}: refused. It is no checkpoint, or loading it would run code; a '
            f'checkpoint holds tensors and plain containers alone. torch says: '
            f'{_reason(error)}'
        ) from error
    except Exception as error:  # a damaged file makes torch raise about anything
        raise CheckpointError(
            f'{path}: cannot be read; it is truncated or no checkpoint of PyTorch. '
            f'torch says: {_reason(error)}'
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f'{path}: holds a {type(content).__name__}; it must hold a state dict, or a '
            'dict with one under `state_dict`'
        )
    weights, others = content, {}
    if 'state_dict' in content:
        others = {key: value for key, value in content.items() if key != 'state_dict'}
        weights = content['state_dict']
    if not isinstance(weights, dict) or not weights:
        raise CheckpointError(f'{path}: its state dict is empty or no dict')
    for key, value in weights.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise CheckpointError(
                f'{path}: not a state dict; under {key!r} it holds a '
                f'{type(value).__name__}, where a tensor must be'
            )
    prefix = 'module.'
    if all(key.startswith(prefix) for key in weights):
        weights = {key[len(prefix) :]: value for key, value in weights.items()}
    return dict(weights), others


def convert_file(
    src: str | Path,
    dst: str | Path,
    convert: Callable[[dict[str, torch.Tensor], dict], dict],
) -> dict:
    """Convert one checkpoint file to another.

    Args:
        src (str | Path): As :func:`read_state_dict` takes it.
        dst (str | Path): As :func:`write_checkpoint` takes it.
        convert (Callable): From what :func:`read_state_dict` returns to what
            :func:`write_checkpoint` is given.

    Returns:
        dict: The content written.

    Raises:
        CheckpointError: If reading, converting or writing fails, or both are the same
            file; nothing is written.
    """
    refuse_to_overwrite(src, dst)
    weights, others = read_state_dict(src)
    try:
        content = convert(weights, others)
    except CheckpointError as error:
        raise CheckpointError(f'{src}: {error}') from error
    write_checkpoint(content, dst)
    return content


def refuse_to_overwrite(src: str | Path, dst: str | Path) -> None:
    """Refuse a destination that is the source.

    Args:
        src (str | Path): A file that is read.
        dst (str | Path): Where to write.

    Raises:
        CheckpointError: If both are the same file.
    """
    if os.path.realpath(src) == os.path.realpath(dst):
        raise CheckpointError(
            f'{dst}: is what is read; write to another file, or it would be lost'
        )


def write_checkpoint(content: dict, path: str | Path) -> None:
    """Write a checkpoint as a whole or not at all.

    Args:
        content (dict): What to save: a state dict, or a dict with one under
            ``state_dict``.
        path (str | Path): Where to, as :func:`written_at_once` takes it. With the suffix
            ``.safetensors`` the weights and ``meta`` alone are written, in that format,
            ``meta`` as JSON.

    Raises:
        CheckpointError: As :func:`written_at_once` does, or if JSON cannot hold ``meta``.
        ImportError: If safetensors is asked for and not installed.
    """
    with written_at_once(path) as temporary:
        save(content, temporary)


def save(content: dict, path: Path) -> None:
    """Write a checkpoint to a file that :func:`written_at_once` gave.

    Args:
        content (dict): As :func:`write_checkpoint` takes it.
        path (Path): The file.

    Raises:
        OSError: If it cannot be written.
        CheckpointError: If safetensors is asked for and JSON cannot hold ``meta``.
        ImportError: If safetensors is asked for and not installed.
    """
    # To memory first: torch and safetensors raise errors of their own at a full disk.
    if path.suffix == '.safetensors':
        from safetensors import torch as safetensors

        weights = content.get('state_dict', content)
        meta = content.get('meta') if weights is not content else None
        metadata = {'format': 'pt'} | ({'meta': _json(meta)} if meta else {})
        # It takes no tensors that share memory.
        copies = {
            key: value.clone(memory_format=torch.contiguous_format)
            for key, value in weights.items()
        }
        data = safetensors.save(copies, metadata=metadata)
    else:
        buffer = io.BytesIO()
        torch.save(content, buffer)
        data = buffer.getbuffer()
    with path.open('wb') as file:
        file.write(data)


@contextmanager
def written_at_once(path: str | Path) -> Iterator[Path]:
    """Give a temporary file beside a destination, and move it there at the end.

    Args:
        path (str | Path): The destination. Its folder is made if there is none; an
            existing file is replaced, and its mode kept. Of a link, what it leads to.

    Yields:
        Path: The temporary file, with the destination's suffix, to be written.

    Raises:
        CheckpointError: If it cannot be written there. Whatever is raised, no new file
            is left behind, and one that was there stays.

    The file is flushed to the disk before it is moved, and the folder after it: a power
    cut leaves the old file or the new one. A process that is killed leaves its temporary
    file: see :func:`remove_unfinished`.
    """
    path = Path(path)
    if not path.name:
        raise CheckpointError(f'{path}: is a folder; name a file in it')
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    temporary = path.with_name(
        f'.{path.stem}.{uuid.uuid4().hex}{_UNFINISHED}{path.suffix}'
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        yield temporary
        _flush(temporary)
        if path.is_file():
            shutil.copymode(path, temporary)
        temporary.replace(path)
        _flush_names(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise CheckpointError(f'{path}: cannot be written: {error}') from error
        raise


def remove_unfinished(folder: str | Path, stem: str) -> None:
    """Remove what :func:`written_at_once` had begun when its process was killed.

    Args:
        folder (str | Path): Where nobody else writes such files.
        stem (str): Their names without the suffix; may have wildcards.
    """
    for path in Path(folder).glob(f'.{stem}.*{_UNFINISHED}*'):
        path.unlink(missing_ok=True)


def _flush_names(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, if its file system can tell."""
    try:
        _flush(folder)
    except OSError as error:
        if error.errno not in _NOT_FLUSHED:
            raise


def _flush(path: Path) -> None:
    """Wait until a file is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: Exception) -> str:
    """Give PyTorch's reason on one line, without its advice to load anything whatever."""
    text = str(error).rpartition('WeightsUnpickler error: ')[2].strip()
    return re.split(r'\n|\. ', text)[0]


def _load(path: Path) -> object:
    if path.suffix == '.safetensors':
        return _load_safetensors(path)
    verify_archive(path)
    return torch.load(path, map_location='cpu', weights_only=True)


def _json(meta: dict) -> str:
    try:
        return json.dumps(meta)
    except TypeError as error:
        raise CheckpointError(
            f'its meta does not fit in safetensors ({error}); write to a .pth file'
        ) from error


def _load_safetensors(path: Path) -> dict:
    from safetensors import safe_open

    with safe_open(path, framework='pt') as file:
        text = (file.metadata() or {}).get('meta')
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    if text is None:
        return weights
    meta = json.loads(text)
    if not isinstance(meta, dict):
        raise ValueError(f'its meta is a {type(meta).__name__}, where a dict must be')
    return dict(meta=meta, state_dict=weights)
