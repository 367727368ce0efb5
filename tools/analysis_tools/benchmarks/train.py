"""``tools/train.py`` from end to end, against the bare loop of the same steps."""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from mmpretrain.structures import DataSample

from custom_imports import add_imports
from dhm_plugin.checkpoints import written_at_once
from dhm_plugin.checkpoints.export.config import load_config, type_name
from dhm_plugin.checkpoints.export.image_shape import image_shape
from progress import Progress, run_watched

from .images import torchvision_loader, with_dali, with_packed
from .synthetic import write_jpegs
from .timing import Times

HERE = Path(__file__).parent
TRAIN = HERE.parents[1] / 'train.py'
CONVERTERS = HERE.parents[1] / 'dataset_converters'
DATA = ('files', 'packed', 'dali')
SECONDS = 'seconds.json'
BARE, TRAIN_PY = 'bare loop', 'tools/train.py'
HOOKS_OF_IT = "of it, this package's hooks"
# Batches of different JPEGs; an epoch repeats them.
DIFFERENT = 4
# Of packed images, in pixels.
EDGE = 400


def measure(
    path: str | Path,
    batch_size: int | None,
    data: str = 'files',
    steps: int | None = None,
    repeats: int = 5,
) -> list[dict]:
    """Train on synthetic images with the stock tool, and with nothing around the steps.

    Each epoch of the stock tool ends with a checkpoint. Where images lie in files, there
    is a bare loop with torchvision's loader too.

    Args:
        path (str | Path): The config.
        batch_size (int, optional): Images a step. None means the config's.
        data (str): One of :data:`DATA`: what the config's images are read from, or with.
            Defaults to ``'files'``, or what is in memory.
        steps (int, optional): Of an epoch; a multiple of :data:`DIFFERENT` where images
            lie in files. Defaults to None, which means 20, and 200 with a GPU.
        repeats (int): Epochs that are timed. Defaults to 5.

    Returns:
        list[dict]: Rows of a table.

    Raises:
        subprocess.CalledProcessError: If the training fails.
        ValueError: If the images are in memory, and ``data`` is not ``'files'``; if
            ``steps`` is not as said.
    """
    cfg = load_config(path)
    batch_size = batch_size or cfg.train_dataloader.batch_size
    if steps is None:
        steps = 200 if torch.cuda.is_available() else 20
    with tempfile.TemporaryDirectory() as folder:
        config = _synthetic(cfg, Path(folder), batch_size, steps, repeats, data)
        command = [sys.executable, str(TRAIN), str(config)]
        # The training imports this module, for its hook.
        imported = [str(HERE.parent), str(CONVERTERS)]
        path = os.pathsep.join([*imported, os.environ.get('PYTHONPATH', '')])
        environment = {**os.environ, 'PYTHONPATH': path}
        seconds = Path(folder) / SECONDS
        with Progress('training', repeats + 1) as progress:
            code = run_watched(
                command,
                lambda: progress.update(_epochs(seconds)),
                stdout=subprocess.DEVNULL,
                env=environment,
            )
        if code:
            raise subprocess.CalledProcessError(code, command)
        seconds = json.loads(seconds.read_text())
    times = {name: Times(values) for name, values in seconds.items()}
    ours = times[TRAIN_PY]
    return [
        {
            'epoch of': name,
            'time': times[name],
            'images/s': ''
            if name == HOOKS_OF_IT
            else batch_size * steps / times[name].median,
            'this / bare loop': times[name].over(times[BARE]),
            'this / tools/train.py': times[name].over(ours),
        }
        for name in times
    ]


@HOOKS.register_module()
class BareLoopHook(Hook):
    """After each epoch, run as many steps with nothing around them, and time both.

    Args:
        path (str): The JSON file to write, after each epoch.
        reference (str, optional): A config of images in files, which torchvision loads
            for as many steps again. Defaults to None.
        times (int): How often an epoch repeats its images. Defaults to 1.
    """

    priority = 'LOWEST'

    def __init__(self, path: str, reference: str | None = None, times: int = 1) -> None:
        self.path = Path(path)
        self.seconds = {}
        self.loader = None
        if reference is not None:
            cfg = Config.fromfile(reference)
            self.loader = torchvision_loader(cfg, cfg.train_dataloader.num_workers, times)

    def before_run(self, runner: Runner) -> None:
        """Put a clock to the hooks of this package."""
        self.clock = _Clock()
        for hook in runner.hooks:
            if type(hook).__module__.startswith('dhm_plugin.'):
                for point in hook.stages:
                    setattr(hook, point, self.clock.timed(getattr(hook, point)))

    def before_train_epoch(self, runner: Runner) -> None:
        """Start the clocks."""
        self.clock.seconds = 0.0
        self.started = _now()

    def after_train_epoch(self, runner: Runner) -> None:
        """Time the same steps, on a batch that is ready; the first epoch warms up."""
        trained, of_hooks = _now() - self.started, self.clock.seconds
        preprocessor = runner.model.data_preprocessor
        data = preprocessor(next(iter(runner.train_dataloader)), training=True)
        steps = len(runner.train_dataloader)
        seconds = {BARE: self._time(runner, itertools.repeat(data, steps))}
        if self.loader is not None:
            batches = (
                dict(
                    inputs=images.to(preprocessor.device, non_blocking=True),
                    data_samples=[DataSample().set_gt_label(x) for x in labels],
                )
                for images, labels in self.loader
            )
            seconds['bare loop, torchvision'] = self._time(runner, batches)
        seconds.update({TRAIN_PY: trained, HOOKS_OF_IT: of_hooks})
        if runner.epoch:
            for name, value in seconds.items():
                self.seconds.setdefault(name, []).append(value)

        with written_at_once(self.path) as temporary:
            temporary.write_text(json.dumps(self.seconds))

    def _time(self, runner: Runner, batches: Iterable[dict]) -> float:
        model, wrapper = runner.model, runner.optim_wrapper
        started = _now()
        for data in batches:
            with wrapper.optim_context(model):
                losses = model(**data, mode='loss')
            total = sum(value for key, value in losses.items() if 'loss' in key)
            wrapper.update_params(total)
        return _now() - started


class _Clock:
    """Adds up the time of calls; of nested ones the outer's."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._runs = False

    def timed(self, function: Callable) -> Callable:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self._runs:
                return function(*args, **kwargs)
            self._runs, started = True, time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - started
                self._runs = False

        return call


def _epochs(seconds: Path) -> int:
    """Count the epochs that the hook has seen, the uncounted first one too."""
    if not seconds.is_file():
        return 0
    return 1 + len(json.loads(seconds.read_text()).get(BARE, []))


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _synthetic(
    cfg: Config, folder: Path, batch_size: int, steps: int, repeats: int, data: str
) -> Path:
    """Write the config with synthetic images in the place of its own."""
    hook = dict(type='BareLoopHook', path=str(folder / SECONDS))
    cfg.train_dataloader.batch_size = batch_size
    dataset = cfg.train_dataloader.dataset
    if type_name(dataset.type) == 'InMemoryDataset':
        if data != 'files':
            raise ValueError(
                f'--data {data}: the images of this config are in memory; take one whose '
                'images lie in files'
            )
        dataset.dataset = dict(
            type='SyntheticImages',
            number=batch_size * steps,
            shape=image_shape(cfg),
            num_classes=cfg.model.head.num_classes,
        )
    else:
        times, left = divmod(steps, DIFFERENT)
        if left:
            raise ValueError(
                f'--steps {steps}: an epoch repeats {DIFFERENT} batches of images in '
                f'files; take a multiple of {DIFFERENT}'
            )
        write_jpegs(folder, batch_size * DIFFERENT)
        dataset.data_root = str(folder)
        plain = folder / 'files.py'
        cfg.dump(plain)
        hook.update(reference=str(plain), times=times)
        if data == 'dali':
            cfg = with_dali(cfg)
        elif data == 'packed':
            cfg = with_packed(cfg, EDGE)
        dataset = cfg.train_dataloader.dataset
        repeated = dict(type='RepeatDataset', dataset=dataset, times=times)
        cfg.train_dataloader.dataset = repeated
    for key in ('val', 'test'):
        for part in ('cfg', 'dataloader', 'evaluator'):
            cfg[f'{key}_{part}'] = None
    cfg.train_cfg = dict(by_epoch=True, max_epochs=repeats + 1)
    cfg.param_scheduler = None  # it may be longer than this training
    checkpoint = dict(type='CheckpointHook', interval=1, max_keep_ckpts=1)
    cfg.default_hooks.checkpoint = checkpoint
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), hook]
    add_imports(cfg, 'dhm_plugin', 'benchmarks.train')
    cfg.work_dir = str(folder / 'work')
    path = folder / 'synthetic.py'
    cfg.dump(path)
    return path
