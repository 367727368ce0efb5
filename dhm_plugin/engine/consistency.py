"""Measures how consistent the branches of a network are."""

from itertools import combinations, product
from typing import Any

import torch
from torch import nn

from ..models import DHMClassifier, MimickingLoss, target_of
from ..models.side_branches.calls import tensors_of
from ..models.side_branches.meta import without_checkpointing
from ..models.stages.checkpointing import StatisticsKept

# Of each parameter of the backbone; None where a branch does not reach it.
Gradients = tuple[torch.Tensor | None, ...]


def measure(
    network: DHMClassifier, inputs: torch.Tensor, data_samples: list
) -> dict[str, float]:
    """Compare the branches on a batch, in float32.

    Args:
        network (DHMClassifier): In training mode. Its running statistics, gradients and
            random numbers stay as they are.
        inputs (torch.Tensor): Preprocessed images (N, C, H, W).
        data_samples (list[DataSample]): Their labels.

    Returns:
        dict[str, float]: As :class:`ConsistencyHook` logs them. What cannot be measured
        is left out: cosines in frozen stages, CKA of fewer than four images.
    """
    parameters = [p for p in network.backbone.parameters() if p.requires_grad]
    devices = [inputs.device] if inputs.is_cuda else []
    names = network.branch_names
    with (
        torch.random.fork_rng(devices),
        StatisticsKept(network),
        without_checkpointing(network),
        torch.autocast(inputs.device.type, enabled=False),
        # A compiled backbone is one function of all of its parameters: no stages in it.
        torch.compiler.set_stance('force_eager'),
    ):
        forks, feats, logits = _run(network, inputs)
        losses = network.objective_module.objective(logits, target_of(data_samples))
        gradients = {'cosine_ce': {}, 'cosine': {}}
        for name in names:
            of_ce = _gradients(losses[f'loss_ce_{name}'], parameters)
            gradients['cosine_ce'][name] = gradients['cosine'][name] = of_ce
            if f'loss_mimic_{name}' in losses:
                of_mimicking = _gradients(losses[f'loss_mimic_{name}'], parameters)
                gradients['cosine'][name] = _added(of_ce, of_mimicking)
    measured = {}
    pairs = list(combinations(names, 2))
    for stage, members in enumerate(_stages(forks, parameters)):
        for (kind, of), (a, b) in product(gradients.items(), pairs):
            value = _cosine(of[a], of[b], members)
            if value is not None:
                measured[f'{kind}_stage{stage}_{a}_{b}'] = value
    if len(inputs) >= 4:
        for (a, x), (b, y) in combinations(zip(names, feats), 2):
            measured[f'cka_{a}_{b}'] = cka(x.detach(), y.detach()).item()
    divergences = MimickingLoss().divergences(list(logits.values())).tolist()
    for a, row in zip(names, divergences):
        for b, value in zip(names, row):
            if a != b:
                measured[f'kl_{a}_{b}'] = value
    return measured


def _run(
    network: DHMClassifier, inputs: torch.Tensor
) -> tuple[list[torch.Tensor], list[torch.Tensor], dict[str, torch.Tensor]]:
    """Run every branch.

    Returns:
        tuple: What each side branch forks from, the features (N, C_b) of each branch,
        main last, and the logits (N, classes) of each by its name.
    """
    if network.side_branches is None:
        maps = network.backbone(inputs)
        feats = network.neck.forward_branches(maps)
        return list(maps[:-1]), list(feats), network.head.branch_logits(feats)
    branches = list(network.side_branches)
    given: dict[nn.Module, tuple] = {}

    def keep(module: nn.Module, inputs: tuple, output: Any) -> None:
        given[module] = inputs, output

    sources = [network.backbone.get_submodule(branch.fork) for branch in branches]
    heads = [*(branch.head for branch in branches), network.head]
    handles = [module.register_forward_hook(keep) for module in (*sources, *heads)]
    logits = dict(zip(network.branch_names, network.branch_logits(inputs)))
    for handle in handles:
        handle.remove()
    # HRNet's modules give several maps, Swin's a shape too.
    maps = [tensors_of(given[source][1]) for source in sources]
    forks = [torch.cat([each.flatten() for each in of_one]) for of_one in maps]
    return forks, [head.pre_logits(*given[head][0]) for head in heads], logits


def cka(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Estimate the linear centered kernel alignment of two sets of features.

    Without the bias of few images: with fewer images than channels, the usual estimate
    is far from 0 for unrelated features too.

    Source: Nguyen, Raghu & Kornblith, *Do Wide and Deep Networks Learn the Same Things?*,
    ICLR 2021, eq. 3; Song et al., *Feature Selection via Dependence Maximization*, JMLR
    2012, eq. 5, for the estimate of the alignment of two kernels.

    Args:
        x (torch.Tensor): Features (N, C) of N images, at least four.
        y (torch.Tensor): Features (N, D) of the same images.

    Returns:
        torch.Tensor: A scalar, at most 1 and on average 0 for unrelated features.
    """
    kernels = [features.double() @ features.double().T for features in (x, y)]
    for kernel in kernels:
        kernel.fill_diagonal_(0)
    k, m = kernels
    return _alignment(k, m) / (_alignment(k, k) * _alignment(m, m)).sqrt()


def _alignment(k: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
    """Estimate the Hilbert-Schmidt independence criterion; the diagonals are 0."""
    n = len(k)
    trace = (k * m).sum()
    sums = k.sum() * m.sum() / ((n - 1) * (n - 2))
    rows = (k.sum(dim=0) * m.sum(dim=0)).sum() * 2 / (n - 2)
    return (trace + sums - rows) / (n * (n - 3))


def _gradients(loss: torch.Tensor, parameters: list[nn.Parameter]) -> Gradients:
    if not parameters or not loss.requires_grad:
        return (None,) * len(parameters)
    return torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)


def _added(a: Gradients, b: Gradients) -> Gradients:
    return tuple(y if x is None else x if y is None else x + y for x, y in zip(a, b))


def _stages(forks: list[torch.Tensor], parameters: list[nn.Parameter]) -> list[list[int]]:
    """Give the parameters between one map and the next, by their places in the list."""
    stages: list[list[int]] = []
    earlier: set[int] = set()
    for feature_map in forks:
        gradients = _gradients(feature_map.sum(), parameters)
        reached = {i for i, grad in enumerate(gradients) if grad is not None}
        stages.append(sorted(reached - earlier))
        earlier |= reached
    return stages


def _cosine(a: Gradients, b: Gradients, members: list[int]) -> float | None:
    """Give the cosine of two gradients; None if one does not reach these parameters."""
    pairs = [(a[i], b[i]) for i in members if a[i] is not None and b[i] is not None]
    if not pairs:
        return None
    x, y = (torch.cat([grad.flatten() for grad in side]) for side in zip(*pairs))
    # The losses of all branches come from one function: where a loss does not depend on
    # a branch, its gradient there is 0.
    if not x.any() or not y.any():
        return None
    return torch.cosine_similarity(x, y, dim=0).item()
