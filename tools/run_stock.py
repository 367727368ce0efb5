"""Runs a script of MMPretrain, and says in one line what this package has found."""

import logging
import runpy
import sys
from pathlib import Path

import mmpretrain
from mmengine.logging import print_log
from PIL import UnidentifiedImageError


def run_stock(name: str) -> None:
    """Run MMPretrain's own script, as installed.

    Args:
        name (str): Of the file, such as ``'train.py'``.
    """
    script = Path(mmpretrain.__file__).parent / '.mim/tools' / name
    try:
        runpy.run_path(str(script), run_name='__main__')
    except Exception as error:
        # Not before: the config decides whether the package is imported.
        from dhm_plugin.checkpoints import CheckpointError
        from dhm_plugin.folder_lock import FolderInUse

        ours = FloatingPointError, UnidentifiedImageError, CheckpointError, FolderInUse
        if not isinstance(error, ours):
            raise
        # The last line says all; a worker process sends a traceback before it.
        message = str(error).strip().splitlines()[-1]
        print_log(message, logger='current', level=logging.ERROR)
        sys.exit(1)
