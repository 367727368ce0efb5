"""Compiles the part of a training step that is pure tensors."""

from collections.abc import Callable
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import HOOKS
from torch import nn

from ..utils import network_of


@HOOKS.register_module()
class CompileHook(Hook):
    """Compile backbone, side branches, classifiers and losses for training.

    Each is compiled once, for the shape of the first training batch. Another shape, such
    as a smaller last batch, runs as it is, without compiling again; so do validation and
    testing. Checkpoints keep their keys.

    Args:
        mode (str, optional): Of ``torch.compile``. ``'reduce-overhead'`` replays CUDA
            graphs, for networks whose kernels are shorter than their launches. Defaults
            to None, PyTorch's default.
        backend (str): Of ``torch.compile``. Defaults to ``'inductor'``.

    Raises:
        TypeError: If the network is not an ``ImageClassifier``.
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
        self._compile(network, 'extract_feat')
        if hasattr(network.head, 'losses_of_feats'):
            self._compile(network.head, 'losses_of_feats')

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Tell CUDA graphs that the last step's tensors are no longer needed."""
        torch.compiler.cudagraph_mark_step_begin()

    def after_train(self, runner: Runner) -> None:
        """Give the network its own methods back."""
        for module in network_of(runner).modules():
            for name in ('extract_feat', 'losses_of_feats'):
                module.__dict__.pop(name, None)

    def _compile(self, module: nn.Module, name: str) -> None:
        method = getattr(module, name)
        compiled = torch.compile(
            method, dynamic=False, mode=self.mode, backend=self.backend
        )
        # In __dict__, past nn.Module's registration: it is no state of the network.
        module.__dict__[name] = _OneShape(module, method, compiled)


class _OneShape:
    """A method that runs compiled in training, for the first shape that it meets."""

    def __init__(self, module: nn.Module, method: Callable, compiled: Callable) -> None:
        self.module = module
        self.method = method
        self.compiled = compiled
        self.shape = None

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if not self.module.training:
            return self.method(inputs, *args, **kwargs)
        shape = inputs.shape if isinstance(inputs, torch.Tensor) else inputs[0].shape
        self.shape = self.shape or shape
        run = self.compiled if shape == self.shape else self.method
        return run(inputs, *args, **kwargs)
