#!/usr/bin/env python
"""Kill a training again and again, resume it, and compare it with an unbroken one.

It is trained once unbroken. Then it is killed at random moments, each fourth time within
the write of a checkpoint, which is held up for that; at its end, if kills are left, the
next one begins. Every checkpoint that was ever written is compared with the unbroken
training's, bit for bit, and what is logged at the end. Linux only.
"""

import argparse
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / 'analysis_tools'))

from arguments import positive
from checkpoint_entries import differing, differing_folders
from killable_training import KillableTraining

# A best checkpoint, that of the epoch and the name of the last one: waits for the disk.
WAITS = 6


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='After -- follow options of train.py, --cfg-options last.',
    )
    parser.add_argument('config', type=Path)
    parser.add_argument('--kills', type=positive, default=20, help='default: 20')
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='of the moments and of the training; default: 0',
    )
    parser.add_argument(
        '--processes', type=positive, default=1, help='that train together; default: 1'
    )
    # Not of argparse, which mistakes what follows the -- for its own options.
    arguments = [*sys.argv[1:], '--']
    place = arguments.index('--')
    args = parser.parse_args(arguments[:place])
    args.options = arguments[place + 1 : -1]
    return args


def options_of(args: argparse.Namespace) -> list[str]:
    """Give the options of train.py, with the seed before what the user says."""
    options = [*args.options]
    if '--cfg-options' not in options:
        options.append('--cfg-options')
    place = options.index('--cfg-options') + 1
    options.insert(place, f'randomness.seed={args.seed}')
    return options


def kill(training: KillableTraining, left: int, pause: float, draw: random.Random) -> int:
    """Kill and resume a training until it comes to its end; print when.

    Args:
        training (KillableTraining): The training.
        left (int): How often it may be killed.
        pause (float): Mean seconds between two checkpoints.
        draw (random.Random): Draws the moments.

    Returns:
        int: How often it was killed.
    """
    kills = 0
    while kills < left:
        in_write = (left - kills) % 4 == 1
        moment = training.run(
            draw.uniform(0, 3 * pause),
            write=draw.randint(1, WAITS) if in_write else 0,
            seed=draw.getrandbits(32),
        )
        if not moment:
            return kills
        kills += 1
        last = training.work_dir / 'last_checkpoint'
        last = Path(last.read_text()).stem if last.is_file() else 'none'
        print(f'| {moment} | {last} |', flush=True)
    training.run()
    return kills


def compare(training: KillableTraining, unbroken: KillableTraining) -> Iterator[str]:
    """Name what differs: checkpoints that were written, those that are left, the log."""
    for path in sorted(training.written.iterdir()):
        pattern = re.sub(r'\.\d+\.pth$', '.*.pth', path.name)
        references = [differing(path, other) for other in unbroken.written.glob(pattern)]
        if places := min(references, key=len, default=['the file']):
            yield f'{path}: {", ".join(places[:3])}'
    yield from differing_folders(training.work_dir, unbroken.work_dir)


def torture(args: argparse.Namespace, folder: Path) -> list[str]:
    """Do all of it; print the table.

    Args:
        args (argparse.Namespace): The command line.
        folder (Path): Of the trainings.

    Returns:
        list[str]: What differs.
    """
    draw = random.Random(args.seed)
    how = args.config, options_of(args), args.processes
    unbroken = KillableTraining(folder / 'unbroken', *how)
    unbroken.run()
    seconds = time.time() - (unbroken.work_dir / '.lock').stat().st_mtime
    # Of each, the first version: the best ones have other names.
    written = [
        path for path in unbroken.written.glob('*.1.pth') if path.name[:4] != 'best'
    ]
    if not written:
        raise RuntimeError(f'{args.config}: writes no checkpoint')
    pause = seconds / len(written)
    print('| killed | last checkpoint |\n| --- | --- |')
    left, trainings, checkpoints, differences = args.kills, 0, 0, []
    while left:
        trainings += 1
        training = KillableTraining(folder / str(trainings), *how)
        left -= kill(training, left, pause, draw)
        differences += compare(training, unbroken)
        checkpoints += len([*training.written.iterdir()])
    print(
        f'\n{args.config.name}: {args.kills} kills in {trainings} trainings of '
        f'{len(written)} checkpoints and {seconds:.1f} s; {checkpoints} files compared, '
        f'{len(differences)} differences'
    )
    return differences


def main() -> None:
    """Train, kill, resume, compare; remove it all if there is no difference."""
    args = parse_args()
    folder = Path(tempfile.mkdtemp(prefix='torture_'))
    try:
        differences = torture(args, folder)
    except (RuntimeError, ValueError) as error:
        sys.exit(f'torture.py: {error}')
    if differences:
        sys.exit('\n'.join(differences))
    shutil.rmtree(folder)


if __name__ == '__main__':
    main()
