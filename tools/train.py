#!/usr/bin/env python
"""MMPretrain's own tools/train.py, as installed."""

import argparse
import sys

from mmengine.device import get_device

from dhm_plugin.stock_script import run_stock


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
    run_stock('train.py')
