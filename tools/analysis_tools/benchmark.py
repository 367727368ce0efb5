#!/usr/bin/env python
"""Measure ours against a reference, in turns, in the same run."""

import argparse
import json
import shlex
import sys
from pathlib import Path
from subprocess import CalledProcessError

sys.path.append(str(Path(__file__).parents[1] / 'dataset_converters'))

from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from arguments import positive
from benchmarks import infer, loader, report, step, train
from dhm_plugin.checkpoints import written_at_once
from dhm_plugin.root import find_root

HELP = {
    'step': 'a training step with each switch of the configs, against none; time '
    'against arithmetic for plain, DSL, DHM, and DHM with dynamic forking',
    'train': 'tools/train.py from end to end against the bare loop of the same steps',
    'loader': 'the data pipeline, from files, from packed images and with DALI, against '
    "torchvision's, or MMPretrain's",
    'infer': 'DHM without its side branches against the plain network',
}
DEFAULT = 'dhm/resnet18_dhm_8xb32_in1k.py'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    subparsers = parser.add_subparsers(dest='what', required=True)
    for what, text in HELP.items():
        sub = subparsers.add_parser(what, help=text, description=text)
        sub.add_argument(
            'config',
            nargs='?',
            type=Path,
            default=find_root() / 'configs' / DEFAULT,
            help=f'a DHM config; default: {DEFAULT}',
        )
        if what != 'loader':
            sub.add_argument(
                '--batch-size', type=positive, help="images a step; default: the config's"
            )
        if what == 'train':
            sub.add_argument(
                '--data',
                choices=train.DATA,
                default='files',
                help='what the images are read from, or with; default: files',
            )
            sub.add_argument(
                '--steps', type=positive, help='of an epoch; default: 20, with a GPU 200'
            )
        sub.add_argument('--json', type=Path, metavar='OUT', help='write all times too')
    args = parser.parse_args()
    # Before anything is measured.
    if args.json and not args.json.parent.is_dir():
        parser.error(f'--json {args.json}: there is no folder {args.json.parent}')
    return args


def measure(args: argparse.Namespace) -> dict[str, list[dict]]:
    """Measure what is asked for: rows of tables, by name."""
    if args.what == 'loader':
        return {'loader': loader.measure(args.config)}
    if args.what == 'step':
        return step.measure(args.config, args.batch_size)
    if args.what == 'train':
        return {
            'train': train.measure(args.config, args.batch_size, args.data, args.steps)
        }
    return {'infer': infer.measure(args.config, args.batch_size)}


def main() -> None:
    """Measure and show."""
    args = parse_args()
    MMLogger.get_current_instance().setLevel('ERROR')
    init_default_scope('mmpretrain')
    try:
        tables = measure(args)
    except (ValueError, OSError, ImportError, CalledProcessError) as error:
        sys.exit(f'benchmark.py: {error}')
    command = f'python {shlex.join(sys.argv)}'
    for rows in tables.values():
        print(report.table(rows))
    print(f'`{command}` on {report.machine()}')
    if args.json:
        numbers = {name: report.plain_numbers(rows) for name, rows in tables.items()}
        facts = dict(command=command, machine=report.machine(), tables=numbers)
        with written_at_once(args.json) as temporary:
            temporary.write_text(json.dumps(facts, indent=1) + '\n')


if __name__ == '__main__':
    main()
