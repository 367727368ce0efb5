#!/usr/bin/env python
"""Bring ImageNet from its three archives to the folder that the configs read.

Killed and started again, it goes on.
"""

import argparse
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / 'analysis_tools'))
sys.path.append(str(Path(__file__).parent))

from mmpretrain.datasets import ImageNet

from dhm_plugin.folder_lock import FolderInUse, folder_lock
from imagenet_archives import unpack


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'tars',
        type=Path,
        help='folder with ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and '
        'ILSVRC2012_devkit_t12.tar.gz; the validation images may lie in its folder val',
    )
    parser.add_argument('out', nargs='?', type=Path, default=Path('data/imagenet'))
    parser.add_argument(
        '--subset', type=int, metavar='N', help='take the first N classes only'
    )
    return parser.parse_args()


def main() -> None:
    """Check, unpack, then look whether MMPretrain reads it."""
    args = parse_args()
    try:
        with folder_lock(args.out):
            unpack(args.tars, args.out, args.subset)
            classes = str(args.out / 'classes.txt') if args.subset else None
            train, val = (
                ImageNet(str(args.out), split, classes=classes)
                for split in ('train', 'val')
            )
            print(
                f'{args.out}: {len(train)} training and {len(val)} validation images of '
                f'{len(train.CLASSES)} classes'
            )
    except (FolderInUse, OSError, ValueError) as error:
        sys.exit(f'prepare_imagenet.py: {error}')


if __name__ == '__main__':
    main()
