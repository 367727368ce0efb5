#!/usr/bin/env python
"""Train configs over seeds, everything else equal, and compare the main branches.

Instead of configs, give the one file of a study, such as configs/studies/map/stage1.py:
with --tune, every method is tuned on the validation images and the choice is frozen;
then, without it, the final runs are measured on the test images.

Killed and started again, it goes on where it was. Tables and plot are made of the CSV
file alone, whose rows say what they were trained with: others are not taken for them.
"""

import argparse
import os
import sys
from concurrent.futures import FIRST_COMPLETED, wait
from pathlib import Path

import torch
from mmengine.config import DictAction
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from dhm_plugin.checkpoints import written_at_once
from dhm_plugin.folder_lock import folder_lock
from progress import Progress, human_time
from studies import results, tables
from studies.choice import freeze, frozen
from studies.log import last_step
from studies.plot import plot
from studies.study import Point, Study, is_study, read_study
from studies.training import Training, initial_weights
from studies.worker import train as train_one
from studies.worker import workers


def positive(text: str) -> int:
    """Read a positive number."""
    if int(text) < 1:
        raise ValueError
    return int(text)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'configs',
        nargs='+',
        type=Path,
        help='the first one is what the others are compared with; or the file of a study',
    )
    parser.add_argument('--seeds', type=positive, help='number; default: 5')
    parser.add_argument(
        '--tune',
        action='store_true',
        help='tune the methods of a study and freeze the choice, in tuning.csv and '
        'choice.json',
    )
    parser.add_argument(
        '--out',
        type=Path,
        required=True,
        help='folder of results.csv, results.md, results.png, and of the trainings',
    )
    parser.add_argument(
        '--jobs',
        type=positive,
        default=1 if torch.cuda.is_available() else len(os.sched_getaffinity(0)),
        help='trainings at once, which share the cores, or have OMP_NUM_THREADS threads '
        'each; default: one a core, or one on a GPU',
    )
    parser.add_argument(
        '--consistency',
        type=positive,
        default=0,
        metavar='N',
        help='measure the consistency of the branches every N iterations; default: never',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='options of every config, as of train.py',
    )
    parser.add_argument(
        '--no-train',
        action='store_true',
        help='only write table and plot of the rows in results.csv as they are, whatever '
        'they were trained with',
    )
    args = parser.parse_args()
    if args.no_train and (args.cfg_options or args.consistency):
        parser.error('--no-train shows rows as they are: it takes no settings')
    names = [config.stem for config in args.configs]
    if len(set(names)) < len(names):
        parser.error(f'{", ".join(names)}: the file names of configs must differ')
    args.study = len(names) == 1 and is_study(args.configs[0])
    if args.study and (args.cfg_options or args.seeds):
        parser.error(f'{args.configs[0]}: this study says its options and seeds itself')
    if args.tune and (args.no_train or not args.study):
        parser.error('--tune needs the file of a study, and trains')
    return args


def study_of(args: argparse.Namespace) -> Study:
    """Give the study that the command line asks for."""
    folder = args.out.resolve()
    if args.study:
        return read_study(args.configs[0], folder, args.consistency)
    return Study(
        folder,
        {config.stem: config for config in args.configs},
        range(args.seeds or 5),
        args.cfg_options,
        args.consistency,
    )


def tune(study: Study, args: argparse.Namespace) -> None:
    """Train what the choice is made of, and freeze it."""
    csv = args.out / 'tuning.csv'
    train(study.tunings(), args.jobs, csv)
    freeze(args.out / 'choice.json', study, results.read(csv))


def choice_of(study: Study, args: argparse.Namespace) -> dict[str, Point]:
    """Read the frozen choice; configs that are listed have nothing to choose."""
    if not study.grid:
        return {name: {} for name in study.configs}
    csv = args.out / 'tuning.csv'
    rows = results.read(csv)
    chosen = frozen(args.out / 'choice.json', study, rows)
    check(study.tunings(), rows, csv)
    return chosen


def check(trainings: list[Training], rows: list[dict[str, str]], csv: Path) -> None:
    """Check that rows were trained with the settings that are asked for.

    Args:
        trainings (list[Training]): What is asked for.
        rows (list[dict[str, str]]): Of the CSV file.
        csv (Path): The file, for the error.

    Raises:
        ValueError: If one was not.
    """
    for training in {t.name: t for t in trainings}.values():
        try:
            training.check(rows)
        except ValueError as error:
            raise ValueError(f'{csv}: {error}') from error


def train(trainings: list[Training], jobs: int, csv: Path) -> None:
    """Run what has no row in the CSV file yet, several at once.

    Args:
        trainings (list[Training]): All of one CSV file.
        jobs (int): How many at once.
        csv (Path): The file; a row is added after each training.

    Raises:
        RuntimeError: If a training fails; no other one is started. Or if another study
            runs in the same folder.
        ValueError: If the main branches of the configs differ, or a training was done or
            begun with other settings.
    """
    check(trainings, results.read(csv), csv)
    with folder_lock(csv.parent):
        _train(trainings, jobs, csv)


def _train(trainings: list[Training], jobs: int, csv: Path) -> None:
    """Run what is left, when no other study does."""
    rows = results.read(csv)
    done = {(row['config'], int(row['seed'])) for row in rows}
    left = [t for t in trainings if (t.name, t.seed) not in done]
    starts = {}
    for seed in sorted({t.seed for t in left}):
        of_seed = [t for t in trainings if t.seed == seed]
        # The shapes of all configs are compared once: they are those of every seed.
        starts[seed] = initial_weights(of_seed[:1] if starts else of_seed)
    for training in left:
        training.prepare()
    if left:
        _run(trainings, left, starts, jobs, csv)


def _run(
    trainings: list[Training],
    left: list[Training],
    starts: dict[int, Path],
    jobs: int,
    csv: Path,
) -> None:
    """Run what is left of the trainings, and show how far it is."""
    before = sum(last_step(t.work_dir) for t in left)
    total = max(1, sum(t.length for t in left) - before)
    with Progress('training', total) as progress, workers(jobs) as pool:
        futures = {pool.submit(train_one, *t.command(starts[t.seed])): t for t in left}
        waiting = set(futures)
        try:
            while waiting:
                ended, waiting = wait(waiting, 0.5, FIRST_COMPLETED)
                done = sum(last_step(t.work_dir) for t in left) - before
                # One more has left the queue than runs.
                running = [t for f, t in futures.items() if f in waiting and f.running()]
                names = [f'{t.name}, seed {t.seed}' for t in running[:jobs]]
                one = len(names) == 1
                progress.update(
                    max(0, done), names[0] if one else f'{len(names)} at once'
                )
                for future in ended:
                    future.result()
                    training = futures[future]
                    row = training.result()
                    results.add(csv, row)
                    number = len(trainings) - len(waiting)
                    remaining = progress.left() if waiting else None
                    print(
                        f'[{number}/{len(trainings)}] {training.name}, seed '
                        f'{training.seed}: {row["main"]:.2f} % in '
                        f'{human_time(row["seconds"])}'
                        + (f'; about {human_time(remaining)} left' if remaining else ''),
                        flush=True,
                    )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def main() -> None:
    """Train, then show."""
    args = parse_args()
    MMLogger.get_current_instance().setLevel('ERROR')
    init_default_scope('mmpretrain')
    csv = args.out / 'results.csv'
    try:
        study = study_of(args)
        if args.tune:
            tune(study, args)
            print(f'The choice is frozen: {args.out / "choice.json"}')
            return
        if not args.no_train:
            train(study.finals(choice_of(study, args)), args.jobs, csv)
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f'compare_methods.py: {error}')
    rows = results.read(csv)
    names = [*study.configs]
    if not any(row['config'] in names for row in rows):
        sys.exit(f'compare_methods.py: {csv}: has no row of {", ".join(names)}')
    text = (
        tables.table(rows, names)
        + tables.claims_table({'': (rows, study.claims)})
        + tables.cost_table(rows, names)
        + tables.consistency_table(rows, names)
    )
    with written_at_once(args.out / 'results.md') as temporary:
        temporary.write_text(text)
    plot(rows, names, args.out / 'results.png')
    print(f'\n{text}\nThe plot is {args.out / "results.png"}')


if __name__ == '__main__':
    main()
