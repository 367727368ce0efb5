"""Measures how consistent the objectives of the branches are."""

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import nn

from ...models import DHMClassifier, MimickingLoss
from ...models.stages.checkpointing import StatisticsKept
from ..utils import network_of

# Of each parameter of the backbone; None where a branch does not reach it.
Gradients = tuple[torch.Tensor | None, ...]


@HOOKS.register_module()
class ConsistencyHook(Hook):
    """Compare what the branches ask of the shared backbone, and what they see.

    Every ``interval`` iterations, on the batch of that iteration, in float32:

    - ``cosine_stage0_side0_main``: the cosine between the gradients that the losses of
      side0 and of the main branch (cross-entropy and mimicking loss) send into the
      parameters of the backbone up to the first fork; ``stage1``: between the first and
      the second fork, and so on. 1: the branches pull in the same direction, 0: they
      ignore each other, -1: they work against each other.
    - ``cosine_ce_stage0_side0_main``: the same for their cross-entropies alone.
    - ``cka_side0_main``: the linear centered kernel alignment of their pooled features,
      from 0 (unrelated) to 1 (the same up to rotation and scale).
    - ``kl_side0_main``: the divergence of the class probabilities of side0, the teacher,
      from those of the main branch, the student, in nats; and of every other pair.

    They go into the log as any other scalar. Running statistics and random numbers stay
    as they are: the training is the same without the hook. It costs a forward pass, and
    two backward passes for each branch.

    Source: Li & Chen, *Dynamic Hierarchical Mimicking Towards Consistent Optimization
    Objectives*, CVPR 2020, for the idea; Kornblith et al., *Similarity of Neural Network
    Representations Revisited*, ICML 2019, for CKA.

    Args:
        interval (int): Iterations between two measurements. Defaults to 100.

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
        if (runner.iter + 1) % self.interval == 0:
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


def measure(
    network: DHMClassifier, inputs: torch.Tensor, data_samples: list
) -> dict[str, float]:
    """Measure cosines and CKA on a batch.

    Args:
        network (DHMClassifier): In training mode.
        inputs (torch.Tensor): Preprocessed images (N, C, H, W).
        data_samples (list[DataSample]): Their labels.

    Returns:
        dict[str, float]: As :class:`ConsistencyHook` logs them.
    """
    parameters = [p for p in network.backbone.parameters() if p.requires_grad]
    devices = [inputs.device] if inputs.is_cuda else []
    head = network.head
    with (
        torch.random.fork_rng(devices),
        StatisticsKept(network),
        torch.autocast(inputs.device.type, enabled=False),
    ):
        maps = network.backbone(inputs)
        feats = network.neck.forward_branches(maps)
        target = head._targets(data_samples)
        # The class's own method: a compiled one is for the training's precision.
        logits, losses = type(head).losses_of_feats(head, feats, target)
        gradients = {'cosine_ce': {}, 'cosine': {}}
        for name in head.branch_names:
            of_ce = _gradients(losses[f'loss_ce_{name}'], parameters)
            gradients['cosine_ce'][name] = gradients['cosine'][name] = of_ce
            if f'loss_mimic_{name}' in losses:
                of_mimicking = _gradients(losses[f'loss_mimic_{name}'], parameters)
                gradients['cosine'][name] = _added(of_ce, of_mimicking)
    measured = {}
    for stage, members in enumerate(_stages(maps, parameters)):
        for (kind, of), (a, b) in product(
            gradients.items(), combinations(head.branch_names, 2)
        ):
            value = _cosine(of[a], of[b], members)
            if value is not None:
                measured[f'{kind}_stage{stage}_{a}_{b}'] = value
    for (a, x), (b, y) in combinations(zip(head.branch_names, feats), 2):
        measured[f'cka_{a}_{b}'] = cka(x.detach(), y.detach()).item()
    with torch.no_grad():
        divergences = MimickingLoss().divergences(logits).tolist()
    for a, row in zip(head.branch_names, divergences):
        for b, value in zip(head.branch_names, row):
            if a != b:
                measured[f'kl_{a}_{b}'] = value
    return measured


def cka(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Compute the linear centered kernel alignment of two sets of features.

    Args:
        x (torch.Tensor): Features (N, C) of N images.
        y (torch.Tensor): Features (N, D) of the same images.

    Returns:
        torch.Tensor: From 0 to 1, a scalar.
    """
    x, y = (features.double() - features.double().mean(dim=0) for features in (x, y))
    # With N x N kernels: there are fewer images in a batch than channels.
    kernels = x @ x.T, y @ y.T
    return (kernels[0] * kernels[1]).sum() / (kernels[0].norm() * kernels[1].norm())


def _gradients(loss: torch.Tensor, parameters: list[nn.Parameter]) -> Gradients:
    return torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)


def _added(a: Gradients, b: Gradients) -> Gradients:
    return tuple(y if x is None else x if y is None else x + y for x, y in zip(a, b))


def _stages(
    maps: tuple[torch.Tensor, ...], parameters: list[nn.Parameter]
) -> Iterator[list[int]]:
    """Give the parameters between one map and the next, by their places in the list."""
    earlier: set[int] = set()
    for feature_map in maps[:-1]:
        gradients = _gradients(feature_map.sum(), parameters)
        reached = {i for i, grad in enumerate(gradients) if grad is not None}
        yield sorted(reached - earlier)
        earlier |= reached


def _cosine(
    a: Gradients,
    b: Gradients,
    members: list[int],
) -> float | None:
    """Give the cosine of two gradients; None if one does not reach these parameters."""
    pairs = [(a[i], b[i]) for i in members if a[i] is not None and b[i] is not None]
    if not pairs:
        return None
    x, y = (torch.cat([grad.flatten() for grad in side]) for side in zip(*pairs))
    # The mimicking losses of all branches come from one function: where a loss does not
    # depend on a branch, its gradient there is 0.
    if not x.any() or not y.any():
        return None
    return torch.cosine_similarity(x, y, dim=0).item()
