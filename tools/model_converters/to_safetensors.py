#!/usr/bin/env python
"""Keep the weights of a trained checkpoint, in half precision, as safetensors.

Those of the side branches too, and the names of the classes. MMEngine and all tools here
load the file.
"""

import argparse
import sys
from pathlib import Path

import torch

from dhm_plugin.checkpoints import CheckpointError, convert_file
from dhm_plugin.checkpoints.meta import meta_of_weights


def convert(weights: dict, others: dict) -> dict:
    """Round to half precision; counts stay as they are."""
    rounded = {}
    for key, x in weights.items():
        rounded[key] = x.half() if x.is_floating_point() else x
        if not torch.equal(rounded[key].isfinite(), x.isfinite()):
            raise CheckpointError(
                f'{key} is up to {x.abs().max():.3g}, above the largest number of half '
                'precision, 65504; keep the checkpoint as it is'
            )
    return dict(meta=meta_of_weights(others.get('meta')), state_dict=rounded)


def main() -> None:
    """Parse the command line and convert."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', help='a checkpoint')
    parser.add_argument('dst', help='where to write; .safetensors')
    args = parser.parse_args()
    if Path(args.dst).suffix != '.safetensors':
        parser.error(f'{args.dst}: must end with .safetensors')
    try:
        content = convert_file(args.src, args.dst, convert)
    except (CheckpointError, ImportError) as error:
        sys.exit(f'to_safetensors.py: {error}')
    print(f'{args.dst}: {len(content["state_dict"])} weights, in half precision')


if __name__ == '__main__':
    main()
