#!/usr/bin/env python
"""Export a trained network for MMPretrain, torchvision, timm or ONNX, checked."""

import argparse
import sys

from rich.console import Console

from dhm_plugin.checkpoints import CheckpointError
from dhm_plugin.checkpoints.export import FORMATS, export


def main() -> None:
    """Parse the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='what it was trained with, or the plain one')
    parser.add_argument('checkpoint', help='what the training has written')
    parser.add_argument('out', help='.pth, .safetensors or .onnx')
    parser.add_argument('--to', required=True, choices=FORMATS)
    args = parser.parse_args()
    console = Console(stderr=True)
    with console.status('') as status:

        def show(step: str) -> None:
            status.update(f'{step} ...')
            if not console.is_terminal:  # where there is no status line
                print(f'{step} ...', file=sys.stderr, flush=True)

        try:
            number, difference = export(
                args.config, args.checkpoint, args.out, args.to, show
            )
        except CheckpointError as error:
            sys.exit(f'export.py: {error}')
    print(
        f'{args.out}: the same logits on {number} images, to {difference:.2g}, as the '
        f'checkpoint has'
    )


if __name__ == '__main__':
    main()
