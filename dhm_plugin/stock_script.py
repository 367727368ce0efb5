"""Runs a script of MMPretrain, and says in one line what a user can mend."""

import logging
import runpy
import sys
from pathlib import Path

import mmpretrain
from mmengine.logging import print_log
from PIL import UnidentifiedImageError

from .archive import DamagedArchive
from .checkpoints import CheckpointError
from .datasets.packed.index import PackError
from .folder_lock import FolderInUse

# What FiniteCheckHook and LoadImageFromFile raise, and what files and folders do that are
# missing, damaged, in use or of another network.
_SAID_IN_ONE_LINE = (
    FileNotFoundError,
    FloatingPointError,
    UnidentifiedImageError,
    CheckpointError,
    DamagedArchive,
    PackError,
    FolderInUse,
)


def run_stock(name: str) -> None:
    """Run MMPretrain's own script, as installed.

    Args:
        name (str): Of the file, such as ``'train.py'``.

    Raises:
        SystemExit: With 1, after one line in the log, if the error is one of those above.
    """
    script = Path(mmpretrain.__file__).parent / '.mim/tools' / name
    try:
        runpy.run_path(str(script), run_name='__main__')
    except _SAID_IN_ONE_LINE as error:
        # The last line says all; a worker process sends its traceback before it.
        message = (str(error).strip() or repr(error)).splitlines()[-1]
        print_log(message, logger='current', level=logging.ERROR)
        sys.exit(1)
