"""Checks that a checkpoint is one of this network."""

from collections.abc import Mapping

import torch
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmpretrain.registry import HOOKS
from torch import nn

from ...checked_arguments import checked_arguments
from ...checkpoints import SIDE_BRANCH_PREFIXES, CheckpointError
from ...checkpoints.compare import differing_weights
from ..utils import network_of

BACKBONE = 'backbone.'

# What may differ between two forms of one backbone: its first convolution for grey
# images, its position embedding. ResNet-18 and 34 differ in 16 of 36 convolutions.
_MAY_DIFFER = 1 / 4


@HOOKS.register_module()
@checked_arguments
class CheckpointCheckHook(Hook):
    """Refuse a checkpoint of another network.

    MMEngine loads what fits, lists the rest in the log and goes on: the accuracy of a
    half-loaded network looks like any other.

    - To resume or to test, everything must be there. A test that runs no side branch does
      not need theirs.
    - To start a new training from it (``load_from``), head and neck may be other ones, as
      in fine-tuning, but the backbone must be the same: of the weights of two or more
      dimensions that either has, at least three quarters must fit.

    Keys are compared as they are in the file, but for ``module.`` before all of them.

    Raises:
        CheckpointError: If it is of another network; it names some of the weights.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare keys and shapes, before the weights are loaded."""
        weights = checkpoint.get('state_dict', checkpoint)
        found = {key.removeprefix('module.'): value for key, value in weights.items()}
        network = network_of(runner)
        training = isinstance(runner._train_loop, BaseLoop)
        if training and not runner._resume:
            _check_backbone(network, found)
        else:
            _check_all(network, found, training)


def _check_all(
    network: nn.Module, found: Mapping[str, torch.Tensor], training: bool
) -> None:
    """Refuse if anything is missing that will run, or has another shape."""
    needed = training or getattr(network, 'evaluates_side_branches', False)
    optional = () if needed else SIDE_BRANCH_PREFIXES
    expected = {
        key: value
        for key, value in network.state_dict().items()
        # Checkpoints of PyTorch before 0.4.1 do not have it.
        if not key.endswith('num_batches_tracked')
        and (key in found or not key.startswith(optional))
    }
    differing = differing_weights(
        {key: found[key] for key in expected if key in found}, expected
    )
    if differing:
        raise CheckpointError(
            f'The checkpoint is of another network than the config: {len(differing)} '
            f'weights differ, the first: {"; ".join(differing[:3])}'
        )


def _check_backbone(network: nn.Module, found: Mapping[str, torch.Tensor]) -> None:
    """Refuse if the backbone is another one.

    Norm layers have the same shapes in many networks, and buffers may be missing: they
    tell nothing.
    """
    buffers = {key for key, _ in network.named_buffers()}
    of_file, expected = (
        {
            key: value
            for key, value in weights.items()
            if key.startswith(BACKBONE)
            and key not in buffers
            and getattr(value, 'ndim', 0) > 1
        }
        for weights in (found, dict(network.named_parameters()))
    )
    differing = differing_weights(of_file, expected)
    total = len({*of_file, *expected})
    if len(differing) > _MAY_DIFFER * total:
        keys = ''
        if found and not of_file:
            keys = f'; none of its keys, such as {next(iter(found))}, does'
        raise CheckpointError(
            'load_from: the checkpoint has another backbone than the config: '
            f'{len(differing)} of {total} weights differ (norm layers not counted), the '
            f'first: {"; ".join(differing[:3])}. Load one of the same backbone; its keys '
            f'must begin with {BACKBONE}{keys}'
        )
