"""A process that trains one config after the other: a short run is mostly imports."""

import itertools
import multiprocessing
import os
import runpy
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import torch

from dhm_plugin.engine.end_with_parent import end_with_parent
from machine import cores

TRAIN = Path(__file__).parents[2] / 'train.py'
# Of the trainings of this process.
_NUMBERS = itertools.count()


def workers(jobs: int) -> ProcessPoolExecutor:
    """Start processes that share the cores, and end with this one.

    Each has ``OMP_NUM_THREADS`` threads, where the environment says it.

    Args:
        jobs (int): How many.

    Returns:
        ProcessPoolExecutor: To which :func:`train` is submitted.
    """
    share = max(1, cores() // jobs)
    threads = int(os.environ.get('OMP_NUM_THREADS', share))
    context = multiprocessing.get_context('spawn')
    return ProcessPoolExecutor(jobs, context, _begin, (threads,))


def train(name: str, config: Path, work_dir: Path, start: Path | None) -> None:
    """Train with MMPretrain's ``tools/train.py``, in this process.

    What comes out does not depend on what ran before in this process.

    Args:
        name (str): Of the training, for errors.
        config (Path): The config.
        work_dir (Path): Folder of checkpoints and logs; what is printed goes into its
            ``train.log``.
        start (Path | None): Checkpoint to start from; None to go on with the newest one
            of the folder.

    Raises:
        RuntimeError: If the training fails; with the end of its log.
        FloatingPointError: If it diverges: a loss, a weight or a statistic is not finite.
    """
    _forget()
    work_dir.mkdir(parents=True, exist_ok=True)
    log = work_dir / 'train.log'
    # MMEngine keeps loggers and scalars by the experiment's name and the second.
    changes = {'_base_': str(config), 'experiment_name': f'{name}_{next(_NUMBERS)}'}
    if start:
        changes['load_from'] = str(start)
    # Not --cfg-options, which splits a path at its commas. The runner writes the whole
    # config into this file later.
    begun = work_dir / config.name
    begun.write_text(''.join(f'{key} = {value!r}\n' for key, value in changes.items()))
    command = [str(TRAIN), str(begun), '--work-dir', str(work_dir)]
    command += ['--resume'] * (start is None)
    failure = None
    with _printed_to(log):
        before, sys.argv = sys.argv, command
        try:
            runpy.run_path(str(TRAIN), run_name='__main__')
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            # train.py makes one line of what FiniteCheckHook raises.
            diverged = isinstance(error.__context__, FloatingPointError)
            failure = FloatingPointError if diverged else RuntimeError
        finally:
            sys.argv = before
    if failure:
        end = ''.join(log.read_text().splitlines(keepends=True)[-20:])
        raise failure(f'{name}: failed; {log} ends:\n{end}')


def _begin(threads: int) -> None:
    """Let Linux end this process when the study is killed; set its threads."""
    end_with_parent()
    os.environ['OMP_NUM_THREADS'] = str(threads)
    torch.set_num_threads(threads)


def _forget() -> None:
    """Undo what the runner switches on where a config asks for it, and leaves on."""
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = False
    torch.use_deterministic_algorithms(False)


@contextmanager
def _printed_to(log: Path) -> Iterator[None]:
    """Send what this process and its children print into a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with log.open('a') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), kept):
                os.dup2(copy, number)
                os.close(copy)
