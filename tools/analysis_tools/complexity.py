"""Parameters and FLOPs of a config's network, with its side branches and without."""

from typing import NamedTuple

import torch
from mmengine import Config
from mmengine.analysis import FlopAnalyzer, parameter_count
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from torch import nn


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


def _count(network: nn.Module, images: torch.Tensor) -> Complexity:
    analyzer = FlopAnalyzer(network, (images,))
    analyzer.unsupported_ops_warnings(False)
    analyzer.uncalled_modules_warnings(False)
    analyzer.tracer_warnings('none')
    with torch.no_grad():
        parameters = parameter_count(network)['']
        return Complexity(int(parameters), int(analyzer.total()))
