#!/usr/bin/env python
"""MMPretrain's own tools/train.py, as installed."""

import argparse
import logging
import runpy
import sys
from pathlib import Path

import mmpretrain
from mmengine.device import get_device
from mmengine.logging import print_log
from PIL import UnidentifiedImageError

STOCK = Path(mmpretrain.__file__).parent / '.mim/tools/train.py'


def refuse_amp_without_a_gpu() -> None:
    """Say what to use instead: the stock script ends in an assertion."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument('--amp', action='store_true')
    if parser.parse_known_args()[0].amp and get_device() == 'cpu':
        sys.exit(
            'train.py: --amp trains in float16, which needs a GPU; on a CPU use '
            '--cfg-options optim_wrapper.type=BFloat16OptimWrapper instead'
        )


if __name__ == '__main__':
    refuse_amp_without_a_gpu()
    try:
        runpy.run_path(str(STOCK), run_name='__main__')
    except (FloatingPointError, UnidentifiedImageError) as error:
        # Its last line says all: it is FiniteCheckHook's or LoadImageFromFile's.
        message = str(error).strip().splitlines()[-1]
        print_log(message, logger='current', level=logging.ERROR)
        sys.exit(1)
