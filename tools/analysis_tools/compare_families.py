#!/usr/bin/env python
"""Print what side branches add to stock configs of MMPretrain's families, as a table."""

import argparse
import shlex
import sys
import time
from collections.abc import Callable

import torch
from mmengine import ConfigDict
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample
from torch import nn

from benchmarks.methods import build
from benchmarks.report import machine, table
from benchmarks.timing import in_turns
from complexity import training_flops
from dhm_plugin.checkpoints.export.image_shape import image_shape
from families import FAMILIES, config_of, plain_config_of
from zoo import shorten

# Images of a step that is timed.
IMAGES = 8
REPEATS = 7


def row_of(family: str, with_step: bool) -> dict:
    """Compare a stock config with itself and side branches.

    Args:
        family (str): One of ``FAMILIES``.
        with_step (bool): Whether to time a training step too.

    Returns:
        dict: A row of the table. FLOPs are those of a training step.
    """
    configs = {'plain': plain_config_of(family), 'dhm': config_of(family)}
    shape = image_shape(configs['plain'])
    models = {name: build(cfg.model) for name, cfg in configs.items()}
    sizes, flops = {}, {}
    for name, model in models.items():
        sizes[name] = sum(parameter.numel() for parameter in model.parameters())
        flops[name] = training_flops(configs[name], shape)
    builds = build_seconds({name: cfg.model for name, cfg in configs.items()})
    row = {
        'family': family,
        'stock config': FAMILIES[family],
        'forks': ', '.join(branch.fork for branch in models['dhm'].side_branches),
        'parameters': shorten(sizes['plain']),
        'with branches': shorten(sizes['dhm']),
        'FLOPs / plain': f'{flops["dhm"] / flops["plain"]:.2f}',
        'plain build': f'{builds["plain"]:.2f} s',
        'build': f'{builds["dhm"]:.2f} s',
    }
    if with_step:
        steps = {name: step(model, shape) for name, model in models.items()}
        times = in_turns(steps, repeats=REPEATS, what=f'step, {family}')
        row['step / plain'] = times['dhm'].over(times['plain'])
    return row


def build_seconds(models: dict[str, ConfigDict]) -> dict[str, float]:
    """Give the processor's seconds that building takes: the least of five turns."""
    seconds = {name: [] for name in models}
    for _ in range(5):
        for name, model in models.items():
            started = time.process_time()
            build(model)
            seconds[name].append(time.process_time() - started)
    return {name: min(times) for name, times in seconds.items()}


def step(model: nn.Module, shape: tuple[int, int, int]) -> Callable[[], None]:
    """Give the forward and backward pass of a training step."""
    images = torch.randn(IMAGES, *shape)
    samples = [DataSample().set_gt_label(i) for i in range(IMAGES)]
    model.train()

    def run() -> None:
        model.zero_grad()
        losses = model(images, samples, mode='loss')
        model.parse_losses(losses)[0].backward()

    return run


def main() -> None:
    """Compare and show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'families',
        nargs='*',
        metavar='FAMILY',
        help=f'default: all, {", ".join(FAMILIES)}',
    )
    parser.add_argument(
        '--step',
        action='store_true',
        help=f'time a training step of {IMAGES} images too, in turns',
    )
    args = parser.parse_args()
    for family in args.families:
        if family not in FAMILIES:
            parser.error(f'there is no {family}; choose of {", ".join(FAMILIES)}')
    MMLogger.get_current_instance().setLevel('ERROR')
    init_default_scope('mmpretrain')
    rows = [row_of(family, args.step) for family in args.families or FAMILIES]
    print(table(rows))
    print(f'`python {shlex.join(sys.argv)}` on {machine(gpu=False)}')


if __name__ == '__main__':
    main()
