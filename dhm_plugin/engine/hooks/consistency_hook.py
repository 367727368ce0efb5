"""Logs how consistent the objectives of the branches are."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import nn

from ...checked_arguments import checked_arguments
from ...models import DHMClassifier
from ..consistency import measure
from ..utils import network_of


@HOOKS.register_module()
@checked_arguments
class ConsistencyHook(Hook):
    """Compare what the branches ask of the shared backbone, and what they see.

    At every ``interval``-th iteration of an epoch, in float32:

    - ``cosine_stage0_side0_main``: the cosine between the gradients that the losses of
      side0 and of the main branch (cross-entropy and mimicking loss) send into the
      parameters of the backbone up to its first feature map, or first fork of a derived
      branch; ``stage1``: between the first and the second, and so on. 1: the branches
      pull in the same direction, 0: they ignore each other, -1: they work against each
      other.
    - ``cosine_ce_stage0_side0_main``: the same for their cross-entropies alone.
    - ``cka_side0_main``: the linear centered kernel alignment of their pooled features,
      from 0 (unrelated) to 1 (the same up to rotation and scale).
    - ``kl_side0_main``: the divergence of the class probabilities of side0, the teacher,
      from those of the main branch, the student, in nats; and of every other pair.

    They go into the log as any other scalar; take the logger's interval, or a multiple of
    it: a line of the log without a new measurement repeats the last one. Measured is on
    the batch that was just trained on, with the updated weights; of several processes, on
    the first one's. Running statistics and random numbers stay as they are: the training
    is the same without the hook. A measurement costs a forward pass, a backward pass for
    each loss of each branch and for each fork, and the memory of an iteration in float32.

    Source: Li & Chen, *Dynamic Hierarchical Mimicking Towards Consistent Optimization
    Objectives*, CVPR 2020, for the idea; for CKA see
    :func:`dhm_plugin.engine.consistency.cka`.

    Args:
        interval (int): Iterations between two measurements. An epoch that has fewer is
            measured at its end. Defaults to 100.

    Raises:
        ValueError: If ``interval`` is not positive.
        TypeError: If the network is no :class:`DHMClassifier`.
    """

    # Before the line of the log of the same iteration is written.
    priority = 'NORMAL'

    def __init__(self, interval: int = 100) -> None:
        if interval < 1:
            raise ValueError(f'ConsistencyHook: interval={interval}; it must be positive')
        self.interval = interval
        self._batch: dict | None = None

    def before_train(self, runner: Runner) -> None:
        """Check the network."""
        network = network_of(runner)
        if not isinstance(network, DHMClassifier):
            raise TypeError(
                'ConsistencyHook compares branches; the network, a '
                f'{type(network).__name__}, has none; leave it out, or use DHMClassifier'
            )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Ask for the preprocessed batch, if it is to be measured on."""
        # As LoggerHook chooses its iterations.
        loader = runner.train_dataloader
        short = len(loader) <= self.interval and self.end_of_epoch(loader, batch_idx)
        if short or self.every_n_inner_iters(batch_idx, self.interval):
            preprocessor = network_of(runner).data_preprocessor
            self._handle = preprocessor.register_forward_hook(self._keep)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Measure and log."""
        if self._batch is None:
            return
        batch, self._batch = self._batch, None
        self._handle.remove()
        for name, value in measure(network_of(runner), **batch).items():
            runner.message_hub.update_scalar(f'train/{name}', value)

    def _keep(self, module: nn.Module, inputs: tuple, batch: dict) -> None:
        self._batch = batch
