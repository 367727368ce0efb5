#!/usr/bin/env python
"""Train configs over seeds, everything else equal, and compare the main branches.

Instead of configs, give the one file of a study, such as configs/studies/map/stage1.py:
with --tune, every method is tuned on the validation images and the choice is frozen;
then, without it, the final runs are measured on the test images.

Killed and started again, it goes on where it was. Tables and plot are made of the CSV
file alone, whose rows say what they were trained with: others are not taken for them.
"""

import argparse
import sys
from pathlib import Path

from mmengine.config import DictAction
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from arguments import positive
from dhm_plugin.checkpoints import written_at_once
from studies import results, tables
from studies.choice import check_frozen, chosen_finals, freeze
from studies.plot import plot
from studies.run import jobs_at_once, train
from studies.study import Study, is_study, read_study


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
        default=jobs_at_once(),
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
    if args.no_train and (args.cfg_options or args.consistency or args.seeds):
        parser.error('--no-train shows rows as they are: it takes no settings')
    names = [config.stem for config in args.configs]
    if len(set(names)) < len(names):
        parser.error(f'{", ".join(names)}: the file names of configs must differ')
    studies = []
    for config in args.configs:
        try:
            if is_study(config):
                studies.append(config)
        except Exception as error:  # a config is code: it may raise about anything
            parser.error(f'{config}: {error}')
    if studies and len(names) > 1:
        parser.error(f'{studies[0]}: is the file of a study; give it alone')
    args.study = bool(studies)
    if args.study and (args.cfg_options or args.seeds):
        parser.error(f'{args.configs[0]}: this study says its options and seeds itself')
    if args.tune and (args.no_train or not args.study):
        parser.error('--tune needs the file of a study, and trains')
    if args.tune and args.consistency:
        parser.error('--consistency measures the final runs: leave out --tune')
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
    csv, choice = (args.out / name for name in ('tuning.csv', 'choice.json'))
    finals = args.out / 'results.csv'
    if choice.is_file():
        check_frozen(choice, study)
    elif results.read(finals):
        raise ValueError(
            f'{finals}: has final runs, but there is no {choice.name}: the test images '
            'have been read, and what is chosen now would not be blind to them; restore '
            f'{choice.name}, or tune in another --out'
        )
    train(study.tunings(), args.jobs, csv)
    freeze(choice, study, results.read(csv))


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
            print(tables.tuning_table(study, results.read(args.out / 'tuning.csv')))
            print(f'The choice is frozen: {args.out / "choice.json"}')
            return
        if args.study:
            study.check_seeds(results.read(csv), csv)
        if not args.no_train:
            train(chosen_finals(study), args.jobs, csv)
        rows = results.read(csv)
    except (RuntimeError, ValueError, OSError) as error:
        sys.exit(f'compare_methods.py: {error}')
    names = [*study.configs]
    if not any(row['config'] in names for row in rows):
        sys.exit(f'compare_methods.py: {csv}: has no row of {", ".join(names)}')
    text = tables.report(rows, names, study.claims, study.lengths_of_first)
    with written_at_once(args.out / 'results.md') as temporary:
        temporary.write_text(text)
    plot(rows, names, args.out / 'results.png')
    print(f'\n{text}\nThe plot is {args.out / "results.png"}')


if __name__ == '__main__':
    main()
