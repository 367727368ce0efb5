"""Which checkpoint a training is resumed from."""

import logging
import os
import re
from os.path import isdir, isfile
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log

from ..archive import DamagedArchive, verify_archive

# As CheckpointHook names them, but for the best ones, which cannot be resumed from.
_NAME = r'(epoch|iter)_\d+\.pth'


def latest_whole(folder: str | Path) -> str | None:
    """Find the checkpoint to resume from: the last one, or the newest that is whole.

    The last one is what the file ``last_checkpoint`` names. Where the folder was moved or
    copied, that is the file of this name in it. If it is missing or damaged, one line
    says so, and what is taken, from this folder or the named file's. A name with a
    protocol (``s3://``) is taken as it is.

    Args:
        folder (str | Path): The work folder. The first of several processes looks.

    Returns:
        str | None: The file; None if there is none.
    """
    found = [_find(Path(folder)) if is_main_process() else None]
    broadcast_object_list(found)
    return found[0]


def _find(folder: Path) -> str | None:
    pointer = folder / 'last_checkpoint'
    text = ''
    if pointer.is_file():
        # A power cut may leave zeros, or anything.
        text = pointer.read_text(errors='replace').replace('\0', '').strip()
    if '://' in text:
        return text
    named = _named(folder, Path(text))
    folders = [folder]
    # CheckpointHook's out_dir; not that of a folder that was copied.
    if text and named.parent.resolve() != folder.resolve():
        folders.append(named.parent)
    others = _others(folders, named.name)
    if text:
        problem = _problem(named)
        if not problem:
            return str(named)
        problem = f'{pointer} names {text}, which {problem}'
    elif others or pointer.is_file():
        problem = f'{pointer} is {"empty" if pointer.is_file() else "missing"}'
    else:
        print_log(f'{folder} has no checkpoint to resume from', 'current')
        return None
    others = (path for path in others if path.resolve() != named.resolve())
    whole = next((path for path in others if not _problem(path)), None)
    print_log(
        f'{problem}. '
        + (
            f'Resuming from {whole}, the newest checkpoint that is whole'
            if whole
            else 'No other checkpoint is whole: the training begins anew'
        ),
        'current',
        logging.WARNING,
    )
    return whole and str(whole)


def _named(folder: Path, last: Path) -> Path:
    """Give the file that is meant by what ``last_checkpoint`` says."""
    here = folder / last.name
    # A folder that has such a file too is another training's, this one a copy of it. One
    # that has none is CheckpointHook's out_dir.
    elsewhere = isfile(last) and not isfile(last.parent / 'last_checkpoint')
    return here if isfile(here) and not elsewhere else last


def _others(folders: list[Path], last: str) -> list[Path]:
    """List what could be resumed from, the newest first, by their dates."""
    # Of a training with another `filename_tmpl`, `last` has the pattern.
    of_last = re.sub(r'\\?\d+', r'\\d+', re.escape(last))
    pattern = re.compile(f'{_NAME}|{of_last}')
    # Neither links that lead nowhere, nor a folder whose name is what a power cut left.
    paths = (path for folder in filter(isdir, folders) for path in folder.glob('*'))
    found = [path for path in paths if pattern.fullmatch(path.name) and isfile(path)]
    return sorted(found, key=os.path.getmtime, reverse=True)


def _problem(path: Path) -> str:
    """Tell what is wrong with a file; '' if it is whole."""
    try:
        verify_archive(path)
        with path.open('rb') as file:
            return '' if file.read(2) == b'PK' else 'is no checkpoint'
    except FileNotFoundError:
        return 'is missing'
    except DamagedArchive:
        return 'is truncated or damaged'
    except OSError as error:
        return f'cannot be read ({error})'
