"""A training step with each switch of the configs, against the step without any."""

import ctypes
import gc
import itertools
from pathlib import Path
from types import SimpleNamespace

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmpretrain.registry import OPTIM_WRAPPERS, OPTIMIZERS
from mmpretrain.structures import DataSample
from torch.utils.flop_counter import FlopCounterMode

from dhm_plugin.checkpoints.export.image_shape import image_shape
from dhm_plugin.engine import ChannelsLastHook, CompileHook
from progress import track

from .memory import peak_of
from .methods import build, configs_of
from .timing import in_turns

# What a config may switch on in its optimizer wrapper.
FUSED = dict(optimizer=dict(fused=True))
BFLOAT16 = dict(type='BFloat16OptimWrapper')
FLOAT16 = dict(type='AmpOptimWrapper', dtype='float16', loss_scale='dynamic')
REFERENCE = 'eager float32'
TOGETHER = 'together'
COMPILED = 'together, compiled'
# Of the methods: every side branch has fork_prob 0.5.
FORKED = 'dhm, forked at 0.5'


def switches() -> dict[str, tuple[dict, list]]:
    """List the switches: a name, options of the optimizer wrapper, and hooks."""
    layout, compiled = [ChannelsLastHook()], [CompileHook()]
    both = {**FUSED, **BFLOAT16}
    listed = {
        REFERENCE: ({}, []),
        'channels_last': ({}, layout),
        'fused optimizer': (FUSED, []),
        'bfloat16': (BFLOAT16, []),
        TOGETHER: (both, layout),
        'compiled': ({}, compiled),
        COMPILED: (both, layout + compiled),
    }
    if torch.cuda.is_available():
        graphs = [CompileHook(mode='reduce-overhead')]
        listed['float16'] = (FLOAT16, [])
        listed[f'{TOGETHER}, CUDA graphs'] = (both, layout + graphs)
    return listed


def measure(path: str | Path, batch_size: int | None, repeats: int = 7) -> dict:
    """Time training steps of plain, DSL and DHM.

    Args:
        path (str | Path): The DHM config.
        batch_size (int, optional): Images a step. None means the config's.
        repeats (int): How often each is timed. Defaults to 7.

    Returns:
        dict: Two tables: ``'switches'``, of DHM, and ``'methods'``, with dynamic
        forking.

    Raises:
        ValueError: If the path is no DHM config with a plain and a DSL twin.
    """
    configs = configs_of(path)
    batch_size = batch_size or configs['dhm'].train_dataloader.batch_size
    listed = switches()
    steps = {
        name: Step(configs['dhm'], batch_size, *settings)
        for name, settings in listed.items()
    }
    memory = {
        name: steps[name].memory() for name in track(list(steps), 'memory of a step')
    }
    times = in_turns(steps, repeats, what='DHM step')
    rows = [
        {
            'DHM step': name,
            'time': times[name],
            'images/s': batch_size / times[name].median,
            f'{REFERENCE} / this': times[REFERENCE].over(times[name]),
            'memory, MiB': memory[name] / 2**20,
            'memory / reference': memory[name] / memory[REFERENCE],
        }
        for name in steps
    ]
    del steps
    gc.collect()
    return {
        'switches': rows,
        'methods': [
            row
            for name in (REFERENCE, TOGETHER)
            for row in _methods(configs, batch_size, name, listed[name], repeats)
        ],
    }


class Step:
    """A training step, ready to be called.

    Args:
        cfg (Config): Whose network and optimizer.
        batch_size (int): Images a step.
        wrapper (dict): Options of the optimizer wrapper, over the config's optimizer.
        hooks (list): That change the network before training.

    Attributes:
        calls (int): Training steps that a call does: 1.
    """

    calls = 1

    def __init__(self, cfg: Config, batch_size: int, wrapper: dict, hooks: list) -> None:
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        torch.manual_seed(0)
        self.network = build(cfg.model).to(device).train()
        settings = {**cfg.optim_wrapper.optimizer, 'fused': False}
        settings.update(wrapper.get('optimizer', {}))
        optimizer = OPTIMIZERS.build({**settings, 'params': self.network.parameters()})
        options = {key: value for key, value in wrapper.items() if key != 'optimizer'}
        self.wrapper: OptimWrapper = OPTIM_WRAPPERS.build(
            {'type': 'OptimWrapper', **options, 'optimizer': optimizer}
        )
        runner = SimpleNamespace(model=self.network, optim_wrapper=self.wrapper)
        for hook in hooks:
            hook.before_train(runner)
        self.images = torch.randn(batch_size, *image_shape(cfg), device=device)
        labels = torch.arange(batch_size, device=device) % cfg.model.head.num_classes
        self.samples = [DataSample().set_gt_label(labels)]

    def __call__(self) -> None:
        """Do what ``model.train_step`` does after preprocessing."""
        torch.compiler.cudagraph_mark_step_begin()
        with self.wrapper.optim_context(self.network):
            losses = self.network(self.images, self.samples, mode='loss')
        total, _ = self.network.parse_losses(losses)
        self.wrapper.update_params(total)

    def memory(self) -> int:
        """Measure the peak of a step's memory, in bytes, over what the weights take."""
        self()
        self()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            self()
            return torch.cuda.max_memory_allocated() - before
        _give_back_freed_memory()
        before = _resident()
        return peak_of(self, _resident, interval=0.001) - before

    def flops(self) -> int:
        """Count the floating-point operations of a step, forward and backward."""
        with FlopCounterMode(display=False) as counter:
            self()
        return counter.get_total_flops()


class EveryFork(Step):
    """The steps of every combination of forked branches, one after the other.

    Where each branch has ``fork_prob`` 0.5, the combinations are equally likely: the mean
    of these steps is what training costs.

    Args:
        cfg (Config): As of :class:`Step`; a DHM config.
        batch_size (int): Images a step.
        wrapper (dict): As of :class:`Step`.
        hooks (list): As of :class:`Step`.
    """

    def __init__(self, cfg: Config, batch_size: int, wrapper: dict, hooks: list) -> None:
        super().__init__(cfg, batch_size, wrapper, hooks)
        branches = self.network.branches_module
        number = len(branches.fork_probs)
        forks = list(itertools.product((True, False), repeat=number))
        self.calls = len(forks)
        branches.fork_probs = [0.5] * number
        branches.draw_forks = itertools.cycle(forks).__next__

    def __call__(self) -> None:
        """Do a step of each combination."""
        for _ in range(self.calls):
            super().__call__()


def _methods(
    configs: dict[str, Config],
    batch_size: int,
    name: str,
    settings: tuple[dict, list],
    repeats: int,
) -> list[dict]:
    """Compare time with arithmetic."""
    steps = {method: Step(cfg, batch_size, *settings) for method, cfg in configs.items()}
    steps[FORKED] = EveryFork(configs['dhm'], batch_size, *settings)
    flops = {method: step.flops() / step.calls for method, step in steps.items()}
    times = {
        method: of_all.over_calls(steps[method].calls)
        for method, of_all in in_turns(steps, repeats, what=f'methods, {name}').items()
    }
    rows = []
    for method in steps:
        arithmetic = flops[method] / flops['plain']
        ratio = times[method].over(times['plain'])
        rows.append(
            {
                'setting': name,
                'method': method,
                'time': times[method],
                'images/s': batch_size / times[method].median,
                'GFLOP a step': flops[method] / 1e9,
                'arithmetic / plain': f'{arithmetic:.2f}',
                'time / plain': ratio,
                'overhead': f'{ratio.median / arithmetic - 1:+.1%}',
            }
        )
    return rows


def _give_back_freed_memory() -> None:
    """Let the C library return to the system what is free; glibc alone needs it."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)


def _resident() -> int:
    """Give the resident memory of this process, in bytes."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * 4096
