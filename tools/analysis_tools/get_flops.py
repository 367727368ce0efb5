#!/usr/bin/env python
"""Count parameters and FLOPs of a config's network, with side branches and without.

FLOPs are multiply-adds of one image's forward pass, from images to logits.
"""

import argparse
import sys
from pathlib import Path

import markdown_table
from complexity import complexity
from dhm_plugin.checkpoints.export.config import load_config
from dhm_plugin.checkpoints.export.image_shape import image_shape
from zoo import shorten


def main() -> None:
    """Count and show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', type=Path)
    parser.add_argument(
        '--shape',
        type=int,
        nargs=3,
        metavar=('CHANNELS', 'HEIGHT', 'WIDTH'),
        help="of an image; default: what the config's pipelines crop to",
    )
    args = parser.parse_args()
    try:
        cfg = load_config(args.config)
        shape = tuple(args.shape or image_shape(cfg))
        networks = complexity(cfg, shape)
    except Exception as error:  # a config is code: it may raise about anything
        sys.exit(f'get_flops.py: {args.config}: {error}')
    rows = [
        [name, shorten(network.parameters), shorten(network.flops)]
        for name, network in zip(('in training', 'deployed'), networks)
    ]
    print(markdown_table.table(['network', 'parameters', 'FLOPs'], *rows), end='')
    print(f'on an image of {"x".join(map(str, shape))} (channels, height, width)')


if __name__ == '__main__':
    main()
