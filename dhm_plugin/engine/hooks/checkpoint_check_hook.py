"""Checks that a checkpoint is one of this network."""

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmpretrain.registry import HOOKS

from ...checkpoints import SIDE_BRANCH_PREFIXES
from ...checkpoints.compare import differing_weights
from ..utils import network_of


@HOOKS.register_module()
class CheckpointCheckHook(Hook):
    """Refuse to resume from, or to test, a checkpoint of another network.

    MMEngine loads what fits, lists the rest in the log and goes on: the accuracy of a
    half-loaded network looks like any other. Starting a new training from a checkpoint
    (``load_from``) is left alone, as another head is wanted there.

    Raises:
        ValueError: If a weight of the network is missing in the checkpoint, or has
            another shape there. The side branches' may be missing in a test that runs
            none of them.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare keys and shapes, before the weights are loaded."""
        training = isinstance(runner._train_loop, BaseLoop)
        if training and not runner._resume:
            return
        weights = checkpoint.get('state_dict', checkpoint)
        found = {key.removeprefix('module.'): value for key, value in weights.items()}
        network = network_of(runner)
        needed = training or getattr(network, 'evaluates_side_branches', False)
        optional = () if needed else SIDE_BRANCH_PREFIXES
        expected = {
            key: value
            for key, value in network.state_dict().items()
            # Checkpoints of PyTorch before 0.4.1 do not have it.
            if not key.endswith('num_batches_tracked')
            and (key in found or not key.startswith(optional))
        }
        found = {key: found[key] for key in expected if key in found}
        differing = differing_weights(found, expected)
        if differing:
            raise ValueError(
                f'The checkpoint is of another network than the config: {len(differing)} '
                f'weights differ, the first: {"; ".join(differing[:3])}'
            )
