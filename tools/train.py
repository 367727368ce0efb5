#!/usr/bin/env python
"""MMPretrain's own tools/train.py, as installed."""

import runpy
from pathlib import Path

import mmpretrain

STOCK = Path(mmpretrain.__file__).parent / '.mim/tools/train.py'

if __name__ == '__main__':
    runpy.run_path(str(STOCK), run_name='__main__')
