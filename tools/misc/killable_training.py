"""A training that can be killed in the middle of anything."""

import multiprocessing
import os
import random
import runpy
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.runner import amp

TRAIN = Path(__file__).parents[1] / 'train.py'
# The imports are most of a short training's time: each is a fork of a process with them.
CONTEXT = multiprocessing.get_context('forkserver')
CONTEXT.set_forkserver_preload(['mmpretrain.apis', 'mmpretrain.visualization'])


@dataclass(frozen=True)
class KillableTraining:
    """A training with ``tools/train.py``, killed and resumed as often as one likes.

    Args:
        folder (Path): Gets ``work``, its work folder; ``written``, with all checkpoints
            that were ever moved into their place, ``NAME.1.pth``, ``NAME.2.pth``, ...;
            and ``train.log``, with what is printed.
        config (Path): The config.
        options (Sequence[str]): Of the command line, but for ``--work-dir`` and
            ``--resume``.
        processes (int): How many train together. Defaults to 1.
    """

    folder: Path
    config: Path
    options: Sequence[str]
    processes: int = 1

    @property
    def work_dir(self) -> Path:
        """Where checkpoints and logs go."""
        return self.folder / 'work'

    @property
    def written(self) -> Path:
        """Where links to all checkpoints are."""
        return self.folder / 'written'

    def run(self, seconds: float | None = None, write: int = 0, seed: int = 0) -> str:
        """Begin or resume it, and kill it.

        Args:
            seconds (float | None): After its beginning, when it is killed. Defaults to
                None: never.
            write (int): How often it has waited for the disk when, instead, the file that
                it writes is cut somewhere, and it is killed. Defaults to 0: never.
            seed (int): Draws where the file is cut. Defaults to 0.

        Returns:
            str: The moment when it was killed; '' if it came to its end before.

        Raises:
            RuntimeError: If it fails; with the end of what it has printed.
        """
        self.written.mkdir(parents=True, exist_ok=True)
        paused = self.folder / 'paused'
        paused.unlink(missing_ok=True)
        resume = ['--resume'] if self.work_dir.is_dir() else []
        command = [str(TRAIN), str(self.config), '--work-dir', str(self.work_dir)]
        command += [*resume, *self.options]
        if self.processes > 1:
            command += ['--launcher', 'pytorch']
        process = CONTEXT.Process(
            target=_train, args=(self.folder, command, self.processes, write, seed)
        )
        process.start()
        lock = self.work_dir / '.lock'
        holder = f'process {process.pid} '
        _wait(process, lambda: lock.is_file() and holder in lock.read_text())
        if write:
            _wait(process, paused.is_file)
        else:
            process.join(seconds)
        moment = ''
        if process.is_alive():
            os.killpg(process.pid, signal.SIGKILL)
            moment = paused.read_text() if write else f'{seconds:.2f} s after its start'
        process.join()
        if not moment and process.exitcode:
            lines = (self.folder / 'train.log').read_text().splitlines(keepends=True)
            raise RuntimeError(f'{" ".join(command)} failed:\n{"".join(lines[-20:])}')
        return moment


def _wait(process: multiprocessing.Process, until: Callable[[], bool]) -> None:
    while process.is_alive() and not until():
        time.sleep(0.01)


def _train(
    folder: Path, command: list[str], processes: int, write: int, seed: int
) -> None:
    """Train, in a group of processes of its own that is killed."""
    os.setsid()
    log = os.open(folder / 'train.log', os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.replace = _linking(folder / 'written')
    if write:
        os.fsync = _pausing(write, folder / 'paused', seed)
    others = _launch(processes) if processes > 1 else []
    if not torch.cuda.is_available():
        _without_gpu()
    sys.argv = command
    runpy.run_path(command[0], run_name='__main__')
    if processes > 1:
        # Gloo's threads abort a process that ends before them.
        torch.distributed.destroy_process_group()
    for other in others:
        if os.waitpid(other, 0)[1]:
            sys.exit(1)


def _without_gpu() -> None:
    """Let MMEngine 0.10 launch, and train in float16, on the processor."""
    # Its launcher sets the GPU before it looks whether there is one.
    torch.cuda.set_device = lambda device: None
    # Its wrapper refuses what PyTorch can do.
    amp_optimizer_wrapper.is_cuda_available = lambda: True
    amp.autocast = partial(torch.autocast, 'cpu')
    amp_optimizer_wrapper.GradScaler = partial(torch.amp.GradScaler, 'cpu')


def _launch(processes: int) -> list[int]:
    """Become the first of several, or another one; give the first one the others."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    address = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    os.environ.update(address, WORLD_SIZE=str(processes), RANK='0', LOCAL_RANK='0')
    others = []
    for rank in map(str, range(1, processes)):
        others.append(os.fork())
        if not others[-1]:
            os.environ.update(RANK=rank, LOCAL_RANK=rank)
            return []
    return others


def _linking(written: Path) -> Callable:
    """Keep each checkpoint that is moved into its place, whatever is removed later."""
    replace = os.replace

    def link(source: str, path: str) -> None:
        replace(source, path)
        path = Path(path)
        if path.suffix == '.pth':
            number = 1 + len([*written.glob(f'{path.stem}.*.pth')])
            os.link(path, written / f'{path.stem}.{number}.pth')

    return link


def _pausing(number: int, paused: Path, seed: int) -> Callable:
    """Cut what is written at one of the waits for the disk, and wait to be killed."""
    fsync, calls = os.fsync, []

    def pause(handle: int) -> None:
        calls.append(handle)
        if len(calls) < number:
            fsync(handle)
            return
        path = Path(os.readlink(f'/proc/self/fd/{handle}'))
        moment = 'after a file was moved into its place'
        if path.is_file():
            size = random.Random(seed).randint(0, path.stat().st_size)
            os.truncate(path, size)
            moment = f'in the write of {path.name.split(".")[1]}, at {size} bytes'
        ready = paused.with_suffix('.ready')
        ready.write_text(moment)
        ready.rename(paused)
        time.sleep(1000)

    return pause
