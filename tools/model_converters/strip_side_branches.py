#!/usr/bin/env python
"""Drop the side branches of a trained checkpoint: it becomes a plain one."""

import argparse
import sys

from dhm_plugin.checkpoints import CheckpointError, convert_file, strip_side_branches
from dhm_plugin.checkpoints.meta import meta_of_weights


def convert(weights: dict, others: dict) -> dict:
    """Keep the main branch, its classes, and how long it was trained."""
    return dict(
        meta=meta_of_weights(others.get('meta')), state_dict=strip_side_branches(weights)
    )


def main() -> None:
    """Parse the command line and strip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', help='a checkpoint of a DHMClassifier')
    parser.add_argument('dst', help='where to write the plain one')
    args = parser.parse_args()
    try:
        content = convert_file(args.src, args.dst, convert)
    except (CheckpointError, ImportError) as error:
        sys.exit(f'strip_side_branches.py: {error}')
    print(f'{args.dst}: {len(content["state_dict"])} keys, those of the plain network')


if __name__ == '__main__':
    main()
