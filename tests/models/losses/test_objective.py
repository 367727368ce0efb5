"""The objective of all branches, against the paper's sums written out."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from dhm_plugin import MimickingLoss, objective
from dhm_plugin.models.losses import check_losses

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


@pytest.mark.parametrize(
    'loss',
    [
        dict(type='LabelSmoothLoss', label_smooth_val=0.1),
        dict(type='CrossEntropyLoss', use_soft=True),
    ],
)
def test_in_bfloat16_the_losses_are_those_of_float32(loss):
    """PyTorch's autocast on a CPU leaves those that it does not know as they are."""
    classification_loss = MODELS.build(loss)
    logits = {name: 4 * torch.randn(64, 50).bfloat16() for name in NAMES}
    target = torch.arange(64) % 50
    if 'use_soft' in loss:
        target = F.one_hot(target, 50) * 0.7 + F.one_hot(target.flip(0), 50) * 0.3
    exact = {name: z.float() for name, z in logits.items()}
    expected = objective(exact, target, classification_loss)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = objective(logits, target, classification_loss)
    for name, value in expected.items():
        assert found[name].item() == value.item(), name


@pytest.mark.parametrize('mimicking_loss', [None, MimickingLoss()])
def test_refuses_a_loss_that_counts(mimicking_loss):
    loss = MODELS.build(dict(type='SeesawLoss', num_classes=10))
    with pytest.raises(ValueError, match='loss=SeesawLoss counts the images of each'):
        check_losses(loss, mimicking_loss, NAMES)


@pytest.mark.parametrize('mimicking_loss', ['MimickingLoss', True, F.kl_div])
def test_refuses_what_is_no_module(mimicking_loss):
    with pytest.raises(TypeError, match=r"it must be a config such as dict\(type='Mimi"):
        check_losses(torch.nn.CrossEntropyLoss(), mimicking_loss, NAMES)


def test_one_branch_mimics_nobody():
    logits = dict(main=torch.randn(4, 5))
    terms = objective(logits, torch.arange(4), cross_entropy, MimickingLoss())
    assert list(terms) == ['loss_ce_main']
