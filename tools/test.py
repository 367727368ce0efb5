#!/usr/bin/env python
"""MMPretrain's own tools/test.py, as installed."""

import logging
import runpy
import sys
from pathlib import Path

import mmpretrain
from mmengine.logging import print_log
from PIL import UnidentifiedImageError

STOCK = Path(mmpretrain.__file__).parent / '.mim/tools/test.py'

if __name__ == '__main__':
    try:
        runpy.run_path(str(STOCK), run_name='__main__')
    except (FloatingPointError, UnidentifiedImageError) as error:
        # Its last line says all: it is FiniteCheckHook's or LoadImageFromFile's.
        message = str(error).strip().splitlines()[-1]
        print_log(message, logger='current', level=logging.ERROR)
        sys.exit(1)
