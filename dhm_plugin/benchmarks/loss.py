"""The losses of all branches, against one pair of branches after the other."""

import torch
import torch.nn.functional as F

from ..models import MimickingLoss
from .timing import in_turns

BATCH = 256
EPS = 1e-8


def pairwise(logits: list[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
    """Compute the losses pair by pair, each with two softmaxes of its own."""
    total = sum(F.cross_entropy(z, target) for z in logits)
    for i, student in enumerate(logits):
        for j, teacher in enumerate(logits):
            if i != j:
                p, q = _smoothed(teacher.detach()), _smoothed(student)
                total = total + (p * (p / q).log()).sum(dim=1).mean()
    return total


def ours(logits: list[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
    """Compute the same losses as a network with these branches does."""
    mimicking, entropies = MimickingLoss().with_cross_entropy(logits, target)
    return mimicking.sum() + entropies.sum()


def measure(repeats: int = 30) -> list[dict]:
    """Time both, forward and backward, for 2 to 8 branches.

    Args:
        repeats (int): How often each is timed. Defaults to 30.

    Returns:
        list[dict]: Rows of a table.
    """
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    # As a training step does with its feature maps: once so much has been freed, the C
    # library keeps smaller pieces instead of handing them back to the system.
    torch.empty(24 << 20, dtype=torch.uint8, device=device).fill_(1)
    rows = []
    three = {}
    for classes in (10, 100, 1000):
        for branches in (3, 2, 4, 5, 6, 7, 8):
            times = in_turns(
                {
                    name: _step(losses, branches, classes, device)
                    for name, losses in (('pairwise', pairwise), ('ours', ours))
                },
                repeats,
                calls=10,
            )
            three.setdefault(classes, times['ours'])
            rows.append(
                {
                    'branches': branches,
                    'batch x classes': f'{BATCH} x {classes}',
                    **times,
                    'pairwise / ours': times['pairwise'].over(times['ours']),
                    'ours / 3 branches': times['ours'].over(three[classes]),
                }
            )
    return sorted(rows, key=lambda row: (row['batch x classes'], row['branches']))


def _smoothed(logits: torch.Tensor) -> torch.Tensor:
    return (F.softmax(logits, dim=1) + EPS) / (1 + logits.size(1) * EPS)


def _step(losses, branches: int, classes: int, device: str):
    generator = torch.Generator(device).manual_seed(0)
    logits = [
        torch.randn(BATCH, classes, generator=generator, device=device).requires_grad_()
        for _ in range(branches)
    ]
    target = torch.arange(BATCH, device=device) % classes

    def step() -> None:
        for z in logits:
            z.grad = None
        losses(logits, target).backward()

    return step
