#!/usr/bin/env python
"""Train configs over seeds, everything else equal, and compare the main branches.

Killed and started again, it goes on where it was. A table and a plot are made of the CSV
file alone.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from dhm_plugin.studies import results
from dhm_plugin.studies.plot import plot
from dhm_plugin.studies.training import Training, initial_weights


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'configs',
        nargs='+',
        type=Path,
        help='the first one is what the others are compared with',
    )
    parser.add_argument('--seeds', type=int, default=5, help='number; default: 5')
    parser.add_argument(
        '--out',
        type=Path,
        required=True,
        help='folder of results.csv, results.md, results.png, and of the trainings',
    )
    parser.add_argument(
        '--jobs',
        type=int,
        default=1 if torch.cuda.is_available() else len(os.sched_getaffinity(0)),
        help='trainings at once; default: one a core, or one on a GPU',
    )
    parser.add_argument(
        '--consistency',
        type=int,
        default=0,
        metavar='N',
        help='measure the consistency of the branches every N iterations; default: never',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='options of every config, as of train.py',
    )
    return parser.parse_args()


def train(trainings: list[Training], args: argparse.Namespace, csv: Path) -> None:
    """Run what has no row in the CSV file yet, several at once."""
    done = {(row['config'], int(row['seed'])) for row in results.read(csv)}
    left = [t for t in trainings if (t.name, t.seed) not in done]
    threads = max(1, len(os.sched_getaffinity(0)) // args.jobs)
    starts = {
        seed: initial_weights(args.configs, seed, args.out.resolve())
        for seed in sorted({t.seed for t in left})
    }
    started = time.monotonic()
    with ThreadPoolExecutor(args.jobs) as pool:
        futures = {pool.submit(t.run, starts[t.seed], threads): t for t in left}
        for number, future in enumerate(as_completed(futures), 1):
            training = futures[future]
            try:
                future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            row = training.result()
            results.add(csv, row)
            passed = time.monotonic() - started
            remaining = passed / number * (len(left) - number)
            print(
                f'[{len(done) + number}/{len(trainings)}] {training.name}, seed '
                f'{training.seed}: {row["main"]:.2f} % in {row["seconds"]:.0f} s; about '
                f'{remaining / 60:.0f} min left',
                flush=True,
            )


def main() -> None:
    """Train, then show."""
    args = parse_args()
    MMLogger.get_current_instance().setLevel('ERROR')
    init_default_scope('mmpretrain')
    csv = args.out / 'results.csv'
    trainings = [
        Training(
            config, seed, args.out.resolve(), tuple(args.cfg_options), args.consistency
        )
        for seed in range(args.seeds)
        for config in args.configs
    ]
    try:
        train(trainings, args, csv)
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f'compare_methods.py: {error}')
    rows = results.read(csv)
    names = [config.stem for config in args.configs]
    text = results.table(rows, names) + results.consistency_table(rows, names)
    (args.out / 'results.md').write_text(text)
    plot(rows, names, args.out / 'results.png')
    print(f'\n{text}\nThe plot is {args.out / "results.png"}')


if __name__ == '__main__':
    main()
