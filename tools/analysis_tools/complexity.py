"""Parameters and FLOPs of a config's network, with its side branches and without."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmengine import Config
from mmengine.analysis import FlopAnalyzer, parameter_count
from mmengine.registry import DefaultScope
from mmpretrain.registry import HOOKS, MODELS
from mmpretrain.structures import DataSample
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dhm_plugin import BranchScheduleHook, DHMClassifier
from dhm_plugin.checkpoints.export.config import type_name


class Complexity(NamedTuple):
    """What a network costs.

    Args:
        parameters (int): Number of parameters.
        flops (int): Multiply-adds of one image's forward pass, as MMEngine counts them
            and MMPretrain's metafiles have them.
    """

    parameters: int
    flops: int


class _AllBranches(nn.Module):
    """The network that is trained, from images to the logits of all branches."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.model.branch_logits(images)


def complexity(cfg: Config, shape: tuple[int, int, int]) -> tuple[Complexity, Complexity]:
    """Count parameters and FLOPs of the training network and of the deployed one.

    Args:
        cfg (Config): The config.
        shape (tuple[int, int, int]): Channels, height and width of an image.

    Returns:
        tuple[Complexity, Complexity]: In training; and after ``switch_to_deploy``. A
        network without side branches has the same twice.
    """
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model).eval()
    images = torch.zeros(1, *shape)
    if not hasattr(model, 'branch_logits'):
        return (_count(model, images),) * 2
    training = _count(_AllBranches(model).eval(), images)
    model.switch_to_deploy()
    return training, _count(model, images)


def training_flops(cfg: Config, shape: tuple[int, int, int]) -> float:
    """Count the FLOPs of a training step, forward and backward, for one image.

    Counted are convolutions and matrix products, a multiply-add as two, as PyTorch's
    counter has them. A side branch with ``fork_prob`` counts with that probability; with
    that of a :class:`BranchScheduleHook`, with its mean over the training.

    Args:
        cfg (Config): The config.
        shape (tuple[int, int, int]): Channels, height and width of an image.

    Returns:
        float: The expected number.
    """
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build({**cfg.model, 'data_preprocessor': None})
    if not isinstance(model, DHMClassifier):
        return _count_step(model, shape)
    branches = model.branches_module
    probs = branches.fork_probs
    scheduled = _scheduled_fork_prob(cfg)
    if scheduled is not None:
        probs = [scheduled] * len(probs)
    if all(prob == 1 for prob in probs):
        return _count_step(model, shape)
    branches.fork_probs = [0.0] * len(probs)
    flops = alone = _count_step(model, shape)
    for index, prob in enumerate(probs):
        branches.fork_probs = [float(i == index) for i in range(len(probs))]
        flops += prob * (_count_step(model, shape) - alone)
    return flops


def _scheduled_fork_prob(cfg: Config) -> float | None:
    defaults = cfg.get('default_hooks') or {}
    hooks = [*defaults.values(), *(cfg.get('custom_hooks') or [])]
    for hook in hooks:
        if hook and type_name(hook['type']) == BranchScheduleHook.__name__:
            return HOOKS.build(hook).mean_fork_prob
    return None


def _count_step(model: nn.Module, shape: tuple[int, int, int]) -> float:
    # Norm layers need more than one image.
    images = torch.zeros(2, *shape)
    samples = [DataSample().set_gt_label(0) for _ in images]
    # Of attention PyTorch counts no other kernel of the CPU (2.14).
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        losses = model.train()(images, samples, mode='loss')
        model.parse_losses(losses)[0].backward()
    return counter.get_total_flops() / len(images)


def _attention(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """Count what MMEngine does not (0.10.7): queries by keys, then weights by values."""
    query, key, value = (tensor.type().sizes() for tensor in inputs[:3])
    return math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _count(network: nn.Module, images: torch.Tensor) -> Complexity:
    analyzer = FlopAnalyzer(network, (images,))
    analyzer.set_op_handle('aten::scaled_dot_product_attention', _attention)
    analyzer.unsupported_ops_warnings(False)
    analyzer.uncalled_modules_warnings(False)
    analyzer.tracer_warnings('none')
    with torch.no_grad():
        parameters = parameter_count(network)['']
        return Complexity(int(parameters), int(analyzer.total()))
