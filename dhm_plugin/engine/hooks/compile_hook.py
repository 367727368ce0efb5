"""Compiles the part of a training step that is pure tensors."""

from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import HOOKS
from torch import nn

from ...checked_arguments import checked_arguments
from ...models import DHMClassifier
from ..utils import batch_size_of, network_of, optim_wrappers

# Modes of torch.compile that record CUDA graphs.
_CUDA_GRAPHS = 'reduce-overhead', 'max-autotune'


@HOOKS.register_module()
@checked_arguments
class CompileHook(Hook):
    """Compile backbone, side branches and losses for training.

    Of an ``ImageClassifier`` without side branches, the backbone.

    Each is compiled once, for the shape of the first whole training batch; the losses,
    where branches are forked at random, once for each set of branches (of up to 8 sets:
    PyTorch's limit). Another shape, such as a smaller last batch, runs as it is, without
    compiling again; so do validation and testing. Checkpoints keep their keys.

    Args:
        mode (str, optional): Of ``torch.compile``. ``'reduce-overhead'`` replays CUDA
            graphs, for networks whose kernels are shorter than their launches. Defaults
            to None, PyTorch's default.
        backend (str): Of ``torch.compile``. Defaults to ``'inductor'``.

    Raises:
        TypeError: If the network is not an ``ImageClassifier``.
        ValueError: If CUDA graphs are asked for and gradients accumulate.
    """

    def __init__(self, mode: str | None = None, backend: str = 'inductor') -> None:
        self.mode = mode
        self.backend = backend

    def before_train(self, runner: Runner) -> None:
        """Wrap the methods; the first iteration compiles them."""
        network = network_of(runner)
        if not isinstance(network, ImageClassifier):
            raise TypeError(
                f'CompileHook compiles an ImageClassifier, such as DHMClassifier; the '
                f'network is a {type(network).__name__}'
            )
        if self.mode in _CUDA_GRAPHS and any(
            getattr(wrapper, '_accumulative_counts', 1) > 1
            for wrapper in optim_wrappers(runner)
        ):
            raise ValueError(
                f'CompileHook: mode={self.mode!r} records CUDA graphs, whose next step '
                'overwrites the gradients that accumulative_counts adds up; leave one of '
                'the two out'
            )
        # A training that goes on may begin with the smaller batch at the end of an epoch.
        loader = getattr(runner, 'train_dataloader', None)
        images = (batch_size_of(loader) if loader is not None else None) or 1
        for module, name in _compiled_methods(network):
            # In __dict__, past nn.Module's registration: it is no state of the network.
            module.__dict__[name] = _OneShape(
                module, name, images, mode=self.mode, backend=self.backend
            )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Tell CUDA graphs that the last step's tensors are no longer needed."""
        torch.compiler.cudagraph_mark_step_begin()

    def after_train(self, runner: Runner) -> None:
        """Give the network its own methods back."""
        for module, name in _compiled_methods(network_of(runner)):
            module.__dict__.pop(name, None)


def _compiled_methods(network: ImageClassifier) -> Iterator[tuple[nn.Module, str]]:
    """List what is compiled, each on its own: any branch may be forked or not."""
    yield network.backbone, 'forward'
    if isinstance(network, DHMClassifier):
        for branch in network.side_modules[0]:
            yield branch, 'forward'
        yield network.objective_module, 'objective'


class _OneShape:
    """A method that runs compiled in training, for the shape of the first whole batch.

    Args:
        module (nn.Module): Whose method it is.
        name (str): The method's name.
        images (int): How many a batch has at least whose shape counts.
        **options: Of ``torch.compile``.
    """

    def __init__(self, module: nn.Module, name: str, images: int, **options: Any) -> None:
        self.module, self.name, self.images = module, name, images
        self.method = _own_method(module, name)
        self.compiled = torch.compile(self.method, dynamic=False, **options)
        self.shape = None

    def __reduce__(self) -> tuple:
        # What was compiled has the weights of this module: a copy (EMA) or a pickle of
        # the module gets the module's own method back.
        return _own_method, (self.module, self.name)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if not self.module.training:
            return self.method(inputs, *args, **kwargs)
        shape = (inputs['main'] if isinstance(inputs, dict) else inputs).shape
        if self.shape is None and shape[0] >= self.images:
            self.shape = shape
        run = self.compiled if shape == self.shape else self.method
        return run(inputs, *args, **kwargs)


def _own_method(module: nn.Module, name: str) -> Callable:
    return MethodType(getattr(type(module), name), module)
