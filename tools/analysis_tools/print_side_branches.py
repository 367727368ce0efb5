#!/usr/bin/env python
"""Print the side branches that a DHMClassifier over a plain config derives, as config.

The text can be pasted into the config and changed there. It is followed by what each
branch adds.
"""

import argparse
import copy
import sys
from pathlib import Path

from mmengine import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

import markdown_table
from complexity import training_flops
from dhm_plugin.checkpoints.export.config import load_config
from dhm_plugin.checkpoints.export.image_shape import image_shape
from dhm_plugin.checkpoints.export.to_mmpretrain import plain_model
from zoo import shorten


def costs(cfg: Config, branches: list[dict]) -> list[list[str]]:
    """Count what each branch adds to the plain network.

    Args:
        cfg (Config): The config.
        branches (list[dict]): Its side branches.

    Returns:
        list[list[str]]: A row a branch: name, parameters, and the FLOPs that it adds to
        a training step, in multiples of the plain network's.
    """
    shape = image_shape(cfg)
    plain = copy.deepcopy(cfg)
    plain.model = plain_model(plain.model)
    flops = training_flops(plain, shape)
    rows = []
    for i, branch in enumerate(branches):
        one = copy.deepcopy(cfg)
        one.model.update(side_branches=[branch], mimicking_loss=None, predict_with='main')
        model = MODELS.build(one.model)
        parameters = sum(p.numel() for p in model.side_branches.parameters())
        added = training_flops(one, shape) / flops - 1
        rows.append([f'side{i}', shorten(parameters), f'{added:.2f}'])
    return rows


def main() -> None:
    """Derive and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', type=Path)
    args = parser.parse_args()
    init_default_scope('mmpretrain')
    try:
        cfg = load_config(args.config)
        branches = getattr(MODELS.build(cfg.model), 'side_branches', None)
        if branches is None:
            raise ValueError(
                'nothing is derived of it: its model must be a DHMClassifier over the '
                "plain network's neck and head"
            )
        described = branches.describe()
        rows = costs(cfg, described)
    except Exception as error:  # a config is code: it may raise about anything
        sys.exit(f'print_side_branches.py: {args.config}: {error}')
    for branch in described:
        if branch['fork_prob'] == 1:
            del branch['fork_prob']
    print(Config(dict(model=dict(side_branches=described))).pretty_text)
    header = ['branch', 'parameters', 'FLOPs of a training step / plain']
    print(markdown_table.table(header, *rows), end='')


if __name__ == '__main__':
    main()
