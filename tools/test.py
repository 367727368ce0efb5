#!/usr/bin/env python
"""MMPretrain's own tools/test.py, as installed."""

import runpy
from pathlib import Path

import mmpretrain

STOCK = Path(mmpretrain.__file__).parent / '.mim/tools/test.py'

if __name__ == '__main__':
    runpy.run_path(str(STOCK), run_name='__main__')
