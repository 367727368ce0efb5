#!/usr/bin/env python
"""Convert a checkpoint of the authors' code to a DHMClassifier's."""

import argparse
import sys

from dhm_plugin.checkpoints import CheckpointError, convert_file, official_to_dhm


def convert(weights: dict, others: dict) -> dict:
    """Keep the weights alone, and say which config they fit."""
    config, converted = official_to_dhm(weights)
    return dict(meta=dict(config=f'configs/dhm/{config}.py'), state_dict=converted)


def main() -> None:
    """Parse the command line and convert."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', help="the authors' checkpoint")
    parser.add_argument('dst', help='where to write ours')
    args = parser.parse_args()
    try:
        content = convert_file(args.src, args.dst, convert)
    except CheckpointError as error:
        sys.exit(f'official_to_dhm.py: {error}')
    print(
        f'{args.dst}: {len(content["state_dict"])} keys, for {content["meta"]["config"]}'
    )


if __name__ == '__main__':
    main()
