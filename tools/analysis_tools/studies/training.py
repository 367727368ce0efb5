"""One training of a study: a config and a seed."""

import copy
import functools
import json
import math
import pprint
import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import mmengine
import mmpretrain
import torch
from mmengine.config import Config, ConfigDict
from mmpretrain.registry import MODELS

from complexity import training_flops
from custom_imports import add_imports
from dhm_plugin.checkpoints.compare import differing_weights
from dhm_plugin.checkpoints.export.config import load_config
from dhm_plugin.checkpoints.export.image_shape import image_shape
from dhm_plugin.checkpoints.files import (
    read_state_dict,
    write_checkpoint,
    written_at_once,
)
from dhm_plugin.checkpoints.latest import latest_whole
from dhm_plugin.models import DHMClassifier, MultiBranchClsHead
from dhm_plugin.version import __version__
from machine import device_name

from .log import read
from .results import MEASURES
from .settings import differences, settings_of

# The mean of all iterations so far, also of those before an interruption.
SECONDS = dict(
    data_src='time', log_name='time_mean', method_name='mean', window_size='global'
)
# Iterations between two checkpoints, where epochs are not counted.
CHECKPOINTS = 500
# Schedulers that a study of iterations may have.
STRETCHED = 'ConstantLR', 'CosineAnnealingLR', 'LinearLR', 'MultiStepLR', 'PolyLR'


@dataclass(frozen=True)
class Training:
    """A config, a seed, and where the training goes.

    Args:
        config (Path): The config.
        seed (int): Of initial weights, order of images and augmentation.
        folder (Path): Of the study.
        options (dict): Changes of the config, as ``Config.merge_from_dict`` takes them.
            Defaults to none.
        consistency (int): Iterations between two measurements of
            :class:`~dhm_plugin.ConsistencyHook`, if there are side branches, and between
            two lines of the log. Defaults to 0: none.
        name (str): Of the rows. Defaults to the config's name.
        iterations (int): To train for: the schedule of the config is stretched to it.
            Defaults to 0: as long as the config says.
        on_test (bool): Whether it is measured on the config's test images, in the place
            of the validation images. Defaults to False.
    """

    config: Path
    seed: int
    folder: Path
    options: dict = field(default_factory=dict)
    consistency: int = 0
    name: str = ''
    iterations: int = 0
    on_test: bool = False

    def __post_init__(self) -> None:
        """Name it."""
        if not self.name:
            object.__setattr__(self, 'name', self.config.stem)

    @property
    def work_dir(self) -> Path:
        """Where checkpoints and logs go."""
        return self.folder / 'runs' / self.name / f'seed{self.seed}'

    @property
    def config_file(self) -> Path:
        """Where the whole config is written before the training."""
        return self.folder / 'configs' / f'{self.name}_seed{self.seed}.py'

    @property
    def last_checkpoint(self) -> Path:
        """Where a training that counts iterations leaves its weights."""
        return self.work_dir / f'iter_{self.length}.pth'

    def settings(self) -> Config:
        """Give the config with all that the study changes.

        Returns:
            Config: What ``tools/train.py`` gets.

        Raises:
            ValueError: If the end of the training would not be validated, or it has no
                end; if its schedule cannot be stretched; if its model is not registered;
                or the consistency would never be measured.
        """
        cfg = copy.deepcopy(_loaded(self.config, self.config.stat().st_mtime_ns))
        cfg.merge_from_dict(copy.deepcopy(self.options))
        if self.iterations:
            stretch(cfg, self.iterations)
        unit = 'max_iters' if 'max_iters' in cfg.train_cfg else 'max_epochs'
        length, interval = (
            cfg.train_cfg.get(key, default)
            for key, default in ((unit, 0), ('val_interval', 1))
        )
        if not length or length % interval:
            raise ValueError(
                f'{self.config}: train_cfg has {unit}={length}, val_interval={interval}; '
                'compared is the accuracy after the last one, so val_interval must '
                f'divide {unit}'
            )
        if self.on_test:
            cfg.val_dataloader = copy.deepcopy(cfg.test_dataloader)
            cfg.val_evaluator = copy.deepcopy(cfg.test_evaluator)
        # Our safe loading of checkpoints; a config with imported classes has no imports.
        add_imports(cfg, 'dhm_plugin')
        cfg.randomness = dict(seed=self.seed)
        # Two checkpoints: if the last one is damaged, the one before it is resumed.
        cfg.default_hooks.checkpoint = dict(
            type='CheckpointHook', interval=1, max_keep_ckpts=2
        )
        cfg.log_processor = dict(custom_cfg=[SECONDS])
        if self.consistency:
            cfg.default_hooks.logger.interval = self.consistency
        if unit == 'max_iters':
            cfg.default_hooks.checkpoint.update(by_epoch=False, interval=CHECKPOINTS)
            cfg.log_processor.by_epoch = False
            if self.consistency > length:
                raise ValueError(
                    f'{self.config}: trains for {length} iterations; measured every '
                    f'{self.consistency}, the consistency would never be'
                )
            # The seconds are of what is logged.
            logger = cfg.default_hooks.logger
            logger.interval = min(logger.get('interval', 10), length)
            logger.log_metric_by_epoch = False
        metrics = cfg.val_evaluator
        metrics = [metrics] if isinstance(metrics, dict) else list(metrics)
        kind = MODELS.get(cfg.model.type)
        if kind is None:
            raise ValueError(
                f'{self.config}: model has type={cfg.model.type!r}, which is not '
                'registered; see its spelling, and custom_imports'
            )
        if issubclass(kind, DHMClassifier):
            described = issubclass(MODELS.get(cfg.model.head.type), MultiBranchClsHead)
            (cfg.model.neck if described else cfg.model).eval_branches = True
            metrics = [dict(type='Accuracy', topk=(1,)), dict(type='BranchAccuracy')]
            if self.consistency:
                cfg.default_hooks.consistency = dict(
                    type='ConsistencyHook', interval=self.consistency
                )
        cfg.val_evaluator = [*metrics, dict(type='Calibration')]
        return cfg

    def check_held_out(self) -> None:
        """Check that the validation images are no test images, and no training images.

        How many images a data set has is not known here: of parts, only those from the
        same end are told to overlap.

        Raises:
            ValueError: If they are.
        """
        cfg = self.settings()
        train, validation, test = (
            _images_of(cfg[f'{name}_dataloader'].dataset)
            for name in ('train', 'val', 'test')
        )
        parts = [each.pop('indices', None) for each in (train, validation, test)]
        if validation == test and _overlap(*parts[1:]):
            raise ValueError(
                f'{self.config}: val_dataloader and test_dataloader read the same '
                'images; what is tuned must not see the test images: hold training '
                'images out for val_dataloader, as configs/studies/map/base.py does'
            )
        if train == validation and _overlap(*parts[:2]):
            raise ValueError(
                f'{self.config}: train_dataloader and val_dataloader read some same '
                f'images (indices {parts[0]} and {parts[1]}); what is tuned must not be '
                'measured on what it is trained on: hold images out for val_dataloader, '
                'as configs/studies/map/base.py does'
            )

    @property
    def length(self) -> int:
        """Epochs, or iterations where the config counts these."""
        cfg = self.settings().train_cfg
        return cfg.get('max_iters') or cfg.max_epochs

    def step_flops(self) -> float:
        """Count the FLOPs of one iteration, as :func:`complexity.training_flops` does."""
        return _step_flops(self.settings())

    def prepare(self) -> Path:
        """Write the whole config of this training, or check the one that is there.

        Returns:
            Path: The file.

        Raises:
            ValueError: If the training was begun with another config.
        """
        cfg = self.settings().to_dict()
        literals = _Literals(width=sys.maxsize, sort_dicts=False)
        text = ''.join(f'{key} = {literals.pformat(cfg[key])}\n' for key in cfg)
        path = self.config_file
        if not path.is_file():
            with written_at_once(path) as temporary:
                temporary.write_text(text)
        elif differing := differences(load_config(path).to_dict(), cfg):
            raise ValueError(
                f'{path}: this training was begun with other settings:\n{differing}\n'
                'Give the options that it was begun with, or another --out'
            )
        return path

    def check(self, rows: Sequence[dict[str, str]]) -> None:
        """Check that the rows of this config were trained with these settings.

        Args:
            rows (Sequence[dict[str, str]]): Of the study's CSV file, of any seeds and
                configs. That consistency was measured where none is asked for, is no
                other setting.

        Raises:
            ValueError: If one was trained with others, or does not say with which.
        """
        rows = [row for row in rows if row['config'] == self.name]
        asked = settings_of(self.settings()) if rows else {}
        for row in rows:
            of_row = f'the row of {self.name}, seed {row["seed"]},'
            if not row.get('settings'):
                raise ValueError(
                    f'{of_row} does not say what it was trained with, as rows of earlier '
                    'versions do not. To train, give another --out; for table and plot '
                    'of the rows as they are, --no-train'
                )
            there = json.loads(row['settings'])
            if not self.consistency:
                there.get('default_hooks', {}).pop('consistency', None)
            if differing := differences(there, asked):
                raise ValueError(
                    f'{of_row} was trained with other settings:\n{differing}\nGive the '
                    'settings of the row, or another --out; or, for table and plot of '
                    'the rows as they are, --no-train'
                )

    def command(self, start: Path) -> tuple[str, Path, Path, Path | None]:
        """Give what :func:`studies.worker.train` needs to train, or to go on.

        Args:
            start (Path): Checkpoint with the initial weights of the main branch.

        Returns:
            tuple[str, Path, Path, Path | None]: Its arguments.
        """
        config = self.prepare()
        resumed = latest_whole(self.work_dir)
        if not resumed:
            shutil.rmtree(self.work_dir, ignore_errors=True)
        name = f'{self.name}_seed{self.seed}'
        return name, config, self.work_dir, None if resumed else start

    def result(self) -> dict:
        """Read what came out: measured after the end, consistency on average.

        Returns:
            dict: A row of the study's CSV file; ``seconds`` are those of all training
            iterations, with the hooks; ``flops``, where iterations are counted, those of
            convolutions and matrix products, forward and backward.

        Raises:
            ValueError: If the log has no top-1 accuracy.
        """
        curves, cfg = read(self.work_dir), load_config(self.config_file)
        if 'accuracy/top1' not in curves:
            raise ValueError(
                f'{self.config}: validates no accuracy/top1; set '
                "val_evaluator=dict(type='Accuracy', topk=(1,))"
            )
        length, accuracy = curves['accuracy/top1'][-1]
        cost = {'epochs': length}
        if 'max_iters' in cfg.train_cfg:
            cost = {'iterations': length, 'flops': round(_step_flops(cfg) * length)}
        numbers = {'main': accuracy}
        for key, points in curves.items():
            if key.startswith('branch/') and key != 'branch/main_top1':
                name = key.removeprefix('branch/').removesuffix('_top1')
                numbers[name] = points[-1][1]
            elif key.startswith(MEASURES):
                numbers[key] = statistics.mean(value for _, value in points)
            elif key.startswith('calibration/'):
                numbers[key.removeprefix('calibration/')] = points[-1][1]
        iterations, seconds = curves['time_mean'][-1]
        iterations = cost.get('iterations', iterations)
        cost['seconds'] = round(iterations * seconds, 1)
        return self._row(cost, {name: round(value, 4) for name, value in numbers.items()})

    def diverged(self) -> dict:
        """Give the row of a training that ended because it was not finite any more.

        Returns:
            dict: As of :meth:`result`; its accuracy is nan, and it cost what it took.
        """
        iterations, seconds = read(self.work_dir).get('time_mean', [(0, 0.0)])[-1]
        return self._row({'seconds': round(iterations * seconds, 1)}, {'main': math.nan})

    def _row(self, cost: dict, numbers: dict) -> dict:
        return {
            'config': self.name,
            'seed': self.seed,
            **cost,
            **numbers,
            'device': device_name(),
            'dhm_plugin': __version__,
            'mmpretrain': mmpretrain.__version__,
            'mmengine': mmengine.__version__,
            'torch': torch.__version__,
            # Of the file that was trained: the config may have been edited since.
            'settings': json.dumps(settings_of(load_config(self.config_file))),
        }


def _overlap(part: object, other: object) -> bool:
    """Whether two ``indices`` of one data set are known to have an image in common."""
    if part is None or other is None:
        return True
    if isinstance(part, int) and isinstance(other, int):
        return (part < 0) == (other < 0)
    images = [range(each) if isinstance(each, int) else each for each in (part, other)]
    return not {*images[0]}.isdisjoint(images[1])


def _images_of(dataset: ConfigDict) -> dict:
    """Give what decides which images a data set has, inside any wrappers."""
    while 'dataset' in dataset:
        dataset = dataset.dataset
    rest = {key: value for key, value in dataset.items() if key != 'pipeline'}
    return {'test_mode': False, **rest}


def _step_flops(cfg: Config) -> float:
    return cfg.train_dataloader.batch_size * training_flops(cfg, image_shape(cfg))


@functools.cache
def _loaded(config: Path, changed: int) -> Config:
    return load_config(config)


def stretch(cfg: Config, iterations: int) -> None:
    """Let a training by iterations last longer or shorter, its schedule in proportion.

    Args:
        cfg (Config): The config, which is changed. It is validated once, at its end.
        iterations (int): The new length.

    Raises:
        ValueError: If the config counts epochs, or has a scheduler of another type than
            ``STRETCHED``.
    """
    schedulers = cfg.get('param_scheduler') or []
    by_epoch = [scheduler.get('by_epoch', True) for scheduler in schedulers]
    if 'max_iters' not in cfg.train_cfg or any(by_epoch):
        raise ValueError(
            f'{cfg.filename}: counts epochs; a study that says the iterations needs '
            'train_cfg with max_iters, and by_epoch=False in each param_scheduler'
        )
    ratio = iterations / cfg.train_cfg.max_iters
    for scheduler in schedulers:
        kind = getattr(scheduler.type, '__name__', scheduler.type)
        if kind not in STRETCHED:
            raise ValueError(
                f'{cfg.filename}: param_scheduler has a {kind}; which of its settings '
                f'count iterations is not known; take one of {", ".join(STRETCHED)}'
            )
        for key in ('begin', 'end', 'T_max', 'milestones'):
            if isinstance(scheduler.get(key), int):
                scheduler[key] = round(scheduler[key] * ratio)
            elif scheduler.get(key):
                scheduler[key] = [round(step * ratio) for step in scheduler[key]]
    cfg.train_cfg.update(max_iters=iterations, val_interval=iterations)


class _Literals(pprint.PrettyPrinter):
    """Writes what a config can read: ``inf`` and ``nan`` are no names there."""

    def format(self, value: object, *args: object) -> tuple[str, bool, bool]:
        if isinstance(value, float) and not math.isfinite(value):
            return f"float('{value}')", True, False
        return super().format(value, *args)


def initial_weights(trainings: Sequence[Training]) -> Path:
    """Give the initial weights of the main branch that trainings of a seed start from.

    Args:
        trainings (Sequence[Training]): Of one seed and folder. The first one draws the
            weights, unless the study has them already.

    Returns:
        Path: The checkpoint.

    Raises:
        ValueError: If the main branch of a config is another network.
    """
    first = trainings[0]
    path = first.folder / 'initial_weights' / f'seed{first.seed}.pth'
    if not path.is_file():
        write_checkpoint({'state_dict': _main_branch(first)}, path)
    weights, _ = read_state_dict(path)
    for training in trainings:
        differing = differing_weights(_main_branch(training), weights)
        if differing:
            raise ValueError(
                f'{training.config}: its main branch is not that of the other configs; '
                'compared are networks that are the same without side branches. '
                f'{len(differing)} weights differ, the first: {differing[0]}'
            )
    return path


def _main_branch(training: Training) -> dict[str, torch.Tensor]:
    torch.manual_seed(training.seed)
    model = MODELS.build(training.settings().model)
    model.init_weights()
    if hasattr(model, 'switch_to_deploy'):
        model.switch_to_deploy()
    return model.state_dict()
