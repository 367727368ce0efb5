"""Runs the trainings of a study, several at once, and writes their rows."""

from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

import torch

from dhm_plugin.checkpoints import remove_unfinished
from dhm_plugin.folder_lock import folder_lock
from machine import cores
from progress import Progress, human_time

from . import results
from .training import Training, initial_weights
from .work import Work
from .worker import train as train_one
from .worker import workers


def jobs_at_once() -> int:
    """Give the number of trainings that share this machine: one a core, or on a GPU."""
    return 1 if torch.cuda.is_available() else cores()


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
        RuntimeError: If a training fails; no other one is started, and the rows of those
            that run are written. One that diverges fails where it is measured on test
            images; else its accuracy is nan. Or if another study runs in the same folder.
        ValueError: If the main branches of the configs differ, or a training was done or
            begun with other settings.
    """
    # What is refused leaves nothing behind.
    check(trainings, results.read(csv), csv)
    with folder_lock(csv.parent):
        remove_unfinished(csv.parent, '*')
        _train(trainings, jobs, csv)


def _train(trainings: list[Training], jobs: int, csv: Path) -> None:
    """Run what is left, when no other study does."""
    rows = results.read(csv)
    check(trainings, rows, csv)
    done = results.by_run(rows)
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
    work = Work(left)
    queue, running, failure = [*left], {}, None
    with Progress('training', work.total) as progress, workers(jobs) as pool:
        while running or (queue and not failure):
            # No more than run at once: what waits in a pool is started whatever fails.
            while queue and len(running) < jobs and not failure:
                training = queue.pop(0)
                try:
                    command = training.command(starts[training.seed])
                except Exception as error:  # the rows of those that run are still written
                    failure = error
                    break
                running[pool.submit(train_one, *command)] = training
            ended, _ = wait(running, 0.5, FIRST_COMPLETED)
            names = [f'{t.name}, seed {t.seed}' for t in running.values()]
            progress.update(
                work.done([*running.values()]),
                f'{len(trainings) - len(queue) - len(running)} of {len(trainings)} done, '
                + (names[0] if len(names) == 1 else f'{len(names)} at once'),
            )
            for future in [each for each in running if each in ended]:
                training = running.pop(future)
                work.end(training)
                number = len(trainings) - len(queue) - len(running)
                what = (
                    f'[{number}/{len(trainings)}] {training.name}, seed {training.seed}'
                )
                try:
                    row = _row(future, training)
                    results.add(csv, row)
                except Exception as error:
                    # The first one is raised at the end.
                    print(f'{what}: failed' + (f':\n{error}' if failure else ''))
                    failure = failure or error
                    if running:
                        print(f'Waiting for {len(running)} more')
                    continue
                more = running or (queue and not failure)
                remaining = progress.left() if more else None
                print(
                    f'{what}: {row["main"]:.2f} % in {human_time(row["seconds"])}'
                    + (f'; about {human_time(remaining)} left' if remaining else ''),
                    flush=True,
                )
    if failure:
        raise failure


def _row(future: Future, training: Training) -> dict:
    """Give the row of a training that has ended."""
    try:
        future.result()
    except FloatingPointError as error:
        if training.on_test:
            raise RuntimeError(str(error)) from error
        print(error)
        return training.diverged()
    return training.result()
