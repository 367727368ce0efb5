"""The objective of all branches, against the paper's sums written out."""

import math

import pytest
import torch
import torch.nn.functional as F

from dhm_plugin import MimickingLoss, objective

NAMES = ('side0', 'side1', 'main')


def cross_entropy(logits, target, avg_factor):
    return F.cross_entropy(logits, target, reduction='sum') / avg_factor


def written_out(logits, labels, temperature, weight):
    """L, image by image and class by class."""
    total = 0.0
    z = {name: logits[name].tolist() for name in logits}
    for n, label in enumerate(labels.tolist()):
        p, softened = {}, {}
        for name, rows in z.items():
            for t, found in ((1.0, p), (temperature, softened)):
                powers = [math.exp(value / t) for value in rows[n]]
                found[name] = [power / sum(powers) for power in powers]
        total -= sum(math.log(p[name][label]) for name in z)
        for student in z:
            for teacher in z:
                if student == teacher:
                    continue
                q, r = softened[teacher], softened[student]
                divergence = sum(a * math.log(a / b) for a, b in zip(q, r))
                total += weight * temperature**2 * divergence
    return total / len(labels)


@pytest.mark.parametrize(('temperature', 'weight'), [(1.0, 1.0), (3.0, 0.5)])
def test_is_the_papers_sum(temperature, weight):
    logits = {name: torch.randn(4, 5, dtype=torch.float64) for name in NAMES}
    labels = torch.tensor([0, 4, 2, 2])
    mimicking = MimickingLoss(temperature=temperature, loss_weight=weight)
    terms = objective(logits, labels, cross_entropy, mimicking)
    assert list(terms) == [f'loss_{kind}_{n}' for kind in ('ce', 'mimic') for n in NAMES]
    expected = written_out(logits, labels, temperature, weight)
    assert sum(terms.values()).item() == pytest.approx(expected, rel=1e-12)


def test_without_mimicking_it_is_dsl():
    logits = {name: torch.randn(4, 5) for name in NAMES}
    terms = objective(logits, torch.tensor([0, 4, 2, 2]), cross_entropy)
    assert list(terms) == [f'loss_ce_{name}' for name in NAMES]


def test_one_branch_mimics_nobody():
    logits = dict(main=torch.randn(4, 5))
    terms = objective(logits, torch.arange(4), cross_entropy, MimickingLoss())
    assert list(terms) == ['loss_ce_main']
