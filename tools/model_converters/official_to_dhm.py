#!/usr/bin/env python
"""Convert a checkpoint of the authors' code to a DHMClassifier's, or back."""

import argparse
import sys

import torch

from dhm_plugin.checkpoints import (
    CheckpointError,
    convert_file,
    dhm_to_official,
    official_to_dhm,
)


def to_dhm(weights: dict, others: dict) -> dict:
    """Keep the weights alone, and say which config they fit."""
    config, converted = official_to_dhm(weights)
    report(config, converted, 'fc.weight', weights, others)
    return dict(meta=dict(config=f'configs/dhm/{config}.py'), state_dict=converted)


def to_official(weights: dict, others: dict) -> dict:
    """Keep the weights alone, as a bare state dict."""
    config, converted = dhm_to_official(weights)
    report(config, converted, 'head.fc.weight', weights, others)
    return converted


def report(config: str, converted: dict, fc: str, weights: dict, others: dict) -> None:
    """Say what was found, and what is left out."""
    print(f'architecture: that of configs/dhm/{config}.py')
    print(f'classes: {len(weights[fc])}')
    print(f'keys: {len(converted)}')
    left_out = []
    for key, value in others.items():
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            value = value.item()
        shown = isinstance(value, (int, float, str))
        left_out.append(f'{key} ({value})' if shown else key)
    if left_out:
        print(f'left out: {", ".join(left_out)}')


def main() -> None:
    """Parse the command line and convert."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', help="the authors' checkpoint (with --reverse: ours)")
    parser.add_argument('dst', help="where to write ours (with --reverse: the authors')")
    parser.add_argument(
        '--reverse', action='store_true', help="from ours to the authors' format"
    )
    args = parser.parse_args()
    try:
        convert_file(args.src, args.dst, to_official if args.reverse else to_dhm)
    except (CheckpointError, ImportError) as error:
        sys.exit(f'official_to_dhm.py: {error}')
    print(f'written: {args.dst}')


if __name__ == '__main__':
    main()
