#!/usr/bin/env python
"""Bring ImageNet from its three archives to the folder that the configs read.

With --pack its images are written once more, into few large files, which
_base_/datasets/imagenet_bs32_packed.py reads. A folder that others have prepared is
packed if it is given as both. Killed and started again, it goes on.
"""

import argparse
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / 'analysis_tools'))
sys.path.append(str(Path(__file__).parent))

from mmpretrain.datasets import ImageNet

from dhm_plugin.folder_lock import folder_lock
from imagenet_archives import STATE, unpack
from machine import cores
from packing import RAW, pack


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
    parser.add_argument('--pack', action='store_true', help='write packed images too')
    parser.add_argument('--packed', type=Path, help='where to; default: OUT/packed')
    parser.add_argument(
        '--edge',
        type=int,
        help='shrink packed training images to this short edge; default: 400',
    )
    coding = parser.add_mutually_exclusive_group()
    coding.add_argument('--quality', type=int, help='of what is shrunk; default: 90')
    coding.add_argument(
        '--raw',
        action='store_const',
        const=RAW,
        dest='quality',
        help='pack the pixels of training images, which need not be decoded any more and '
        'take some five times as much room',
    )
    parser.add_argument(
        '--jobs', type=int, help='processes that pack; default: one a core'
    )
    args = parser.parse_args()
    # What is given is not None, though it may be the default.
    packing = dict(
        packed=args.out / 'packed',
        edge=400,
        quality=90,
        jobs=cores(),
    )
    for name, default in packing.items():
        if getattr(args, name) is None:
            setattr(args, name, default)
        elif not args.pack:
            parser.error('--packed, --edge, --quality, --raw and --jobs need --pack')
    in_range = args.quality == RAW or 1 <= args.quality <= 100
    if args.edge < 1 or not in_range or args.jobs < 1:
        parser.error('--edge and --jobs must be at least 1, --quality 1 to 100')
    return args


def main() -> None:
    """Check, unpack, look whether MMPretrain reads it, and pack."""
    args = parse_args()
    try:
        needed = [args.out / split for split in ('train', 'val')]
        if (
            args.tars.resolve() != args.out.resolve()
            or (args.out / STATE).exists()
            or not all(folder.exists() for folder in needed)
        ):
            with folder_lock(args.out):
                unpack(args.tars, args.out, args.subset)
        elif args.subset is not None:
            raise ValueError(
                f'--subset {args.subset}: {args.out} was prepared by others, and is '
                'taken as it is; leave --subset out'
            )
        # From here on it is read alone: it may be that of others, who let nobody write.
        names = args.out / 'classes.txt'
        classes = str(names) if names.exists() else None
        train, val = (
            ImageNet(str(args.out), split, classes=classes) for split in ('train', 'val')
        )
        print(
            f'{args.out}: {len(train)} training and {len(val)} validation images of '
            f'{len(train.CLASSES)} classes'
        )
        if args.pack:
            with folder_lock(args.packed):
                print(
                    pack(train, 'train', args.packed, args.edge, args.quality, args.jobs)
                )
                # Shrunk once more, they would give another accuracy.
                print(pack(val, 'val', args.packed, None, None, args.jobs))
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        sys.exit(f'prepare_imagenet.py: {error}')


if __name__ == '__main__':
    main()
