"""One training of a study: a config and a seed."""

import ctypes
import os
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mmengine
import mmpretrain
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

from ..checkpoints.compare import differing_weights
from ..checkpoints.files import write_checkpoint
from ..machine import device_name
from ..models import MultiBranchClsHead
from ..stock_tools import stock_tool
from ..version import __version__
from .log import read
from .results import MEASURES

# Two checkpoints: MMEngine removes the old one before the new one is written.
DERIVED = """_base_ = {base!r}

randomness = dict(seed={seed})
default_hooks = dict(
    checkpoint=dict(_delete_=True, type='CheckpointHook', interval=1, max_keep_ckpts=2)
)
"""
EVERY_BRANCH = """
model = dict(neck=dict(eval_branches=True))
val_evaluator = [dict(type='Accuracy', topk=(1,)), dict(type='BranchAccuracy')]
"""
CONSISTENCY = """
default_hooks['consistency'] = dict(type='ConsistencyHook', interval={interval})
default_hooks['logger'] = dict(interval={interval})
"""


@dataclass(frozen=True)
class Training:
    """A config, a seed, and where the training goes.

    Args:
        config (Path): The config.
        seed (int): Of initial weights, order of images and augmentation.
        folder (Path): Of the study.
        options (tuple[str, ...]): ``KEY=VALUE``, as ``--cfg-options`` takes them.
        consistency (int): Iterations between two measurements of
            :class:`~dhm_plugin.ConsistencyHook`, if there are side branches. Defaults to
            0: none.
    """

    config: Path
    seed: int
    folder: Path
    options: tuple[str, ...] = ()
    consistency: int = 0

    @property
    def name(self) -> str:
        """The config's name."""
        return self.config.stem

    @property
    def work_dir(self) -> Path:
        """Where checkpoints and logs go."""
        return self.folder / 'runs' / self.name / f'seed{self.seed}'

    def run(self, start: Path, threads: int) -> None:
        """Train with MMPretrain's ``tools/train.py``, or go on where it was stopped.

        Args:
            start (Path): Checkpoint with the initial weights of the main branch.
            threads (int): CPU threads that it may use.

        Raises:
            RuntimeError: If the training fails; with the end of its log.
        """
        last = self.work_dir / 'last_checkpoint'
        resume = last.is_file() and Path(last.read_text()).is_file()
        if not resume:
            shutil.rmtree(self.work_dir, ignore_errors=True)
        self.work_dir.mkdir(parents=True, exist_ok=True)
        config = self.work_dir / f'{self.name}.py'
        text = DERIVED.format(base=str(self.config.resolve()), seed=self.seed)
        if _has_branches(self.config):
            text += EVERY_BRANCH
            if self.consistency:
                text += CONSISTENCY.format(interval=self.consistency)
        config.write_text(text)
        command = [sys.executable, stock_tool('train.py'), str(config)]
        command += ['--work-dir', str(self.work_dir)]
        options = list(self.options)
        if resume:
            command.append('--resume')
        else:
            options.append(f'load_from={start}')
        if options:
            command += ['--cfg-options', *options]
        log = self.work_dir / 'train.log'
        with log.open('a') as file:
            code = subprocess.run(
                command,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, 'OMP_NUM_THREADS': str(threads)},
                preexec_fn=_end_with_parent,
                check=False,
            ).returncode
        if code:
            end = ''.join(log.read_text().splitlines(keepends=True)[-20:])
            raise RuntimeError(
                f'{self.name}, seed {self.seed}: failed; {log} ends:\n{end}'
            )

    def result(self) -> dict:
        """Read what came out: accuracies of the last epoch, consistency on average.

        Returns:
            dict: A row of the study's CSV file.
        """
        curves = read(self.work_dir)
        epochs, accuracy = curves['accuracy/top1'][-1]
        numbers = {'main': accuracy}
        for key, points in curves.items():
            if key.startswith('branch/') and key != 'branch/main_top1':
                name = key.removeprefix('branch/').removesuffix('_top1')
                numbers[name] = points[-1][1]
            elif key.startswith(MEASURES):
                numbers[key] = statistics.mean(value for _, value in points)
        seconds = iterations = 0
        for iteration, time in curves['time']:
            seconds += (iteration - iterations) * time
            iterations = iteration
        return {
            'config': self.name,
            'seed': self.seed,
            'epochs': epochs,
            'seconds': round(seconds, 1),
            **{name: round(value, 4) for name, value in numbers.items()},
            'device': device_name(),
            'dhm_plugin': __version__,
            'mmpretrain': mmpretrain.__version__,
            'mmengine': mmengine.__version__,
            'torch': torch.__version__,
        }


def initial_weights(configs: Sequence[Path], seed: int, folder: Path) -> Path:
    """Write the initial weights of the main branch that all configs start from.

    Args:
        configs (Sequence[Path]): The configs; the first one draws the weights.
        seed (int): The seed.
        folder (Path): Of the study.

    Returns:
        Path: The checkpoint.

    Raises:
        ValueError: If the main branches of the configs differ.
    """
    weights, *others = (_main_branch(config, seed) for config in configs)
    for config, other in zip(configs[1:], others):
        differing = differing_weights(other, weights)
        if differing:
            raise ValueError(
                f'{config}: its main branch is not that of {configs[0]}; compared are '
                'networks that are the same without side branches. '
                f'{len(differing)} weights differ, the first: {differing[0]}'
            )
    path = folder / 'initial_weights' / f'seed{seed}.pth'
    write_checkpoint({'state_dict': weights}, path)
    return path


def _main_branch(config: Path, seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    model = MODELS.build(Config.fromfile(config).model)
    model.init_weights()
    if hasattr(model, 'switch_to_deploy'):
        model.switch_to_deploy()
    return model.state_dict()


def _has_branches(config: Path) -> bool:
    head = MODELS.get(Config.fromfile(config).model.head.type)
    return issubclass(head, MultiBranchClsHead)


def _end_with_parent() -> None:
    """Let Linux end the training when the study is killed."""
    prctl = getattr(ctypes.CDLL(None), 'prctl', None)
    if prctl is not None:
        prctl(1, signal.SIGTERM)
