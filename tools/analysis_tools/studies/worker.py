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


def train(name: str, config: Path, work_dir: Path, options: list[str]) -> None:
    """Train with MMPretrain's ``tools/train.py``, in this process.

    What comes out does not depend on what ran before in this process.

    Args:
        name (str): Of the training, for errors.
        config (Path): The config.
        work_dir (Path): Folder of checkpoints and logs; what is printed goes into its
            ``train.log``.
        options (list[str]): More of the command line, such as ``--resume``. With
            ``--cfg-options`` at the end.

    Raises:
        RuntimeError: If the training fails; with the end of its log.
        FloatingPointError: If it diverges: a loss, a weight or a statistic is not finite.
    """
    _forget()
    work_dir.mkdir(parents=True, exist_ok=True)
    log = work_dir / 'train.log'
    # MMEngine keeps loggers and scalars by the experiment's name and the second.
    command = [str(TRAIN), str(config), '--work-dir', str(work_dir), *options]
    command += ['--cfg-options'] * ('--cfg-options' not in options)
    command += [f'experiment_name={name}_{next(_NUMBERS)}']
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
