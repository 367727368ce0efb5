from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from dhm_plugin import MimickingLoss


def random_logits(num_branches, shape=(5, 7), dtype=torch.float64, scale=3.0):
    generator = torch.Generator().manual_seed(num_branches)
    return [
        (scale * torch.randn(shape, generator=generator, dtype=torch.float64))
        .to(dtype)
        .requires_grad_()
        for _ in range(num_branches)
    ]


def double_loop(logits, temperature, loss_weight, eps):
    """The definition, pair by pair."""
    losses = []
    for i, student in enumerate(logits):
        loss = 0
        for j, teacher in enumerate(logits):
            if i == j:
                continue
            p = F.softmax(teacher.detach() / temperature, dim=1)
            q = F.softmax(student / temperature, dim=1)
            p = (p + eps) / (1 + p.size(1) * eps)
            q = (q + eps) / (1 + q.size(1) * eps)
            loss = loss + (p * (p.log() - q.log())).sum(1).mean()
        losses.append(loss_weight * temperature**2 * loss)
    return torch.stack(losses)


@pytest.mark.parametrize('num_branches', range(2, 7))
@pytest.mark.parametrize('temperature', [1.0, 4.0])
@pytest.mark.parametrize('eps', [0.0, 1e-8, 1e-3])
def test_matches_a_double_loop(num_branches, temperature, eps):
    criterion = MimickingLoss(temperature, loss_weight=0.5, eps=eps)
    logits = random_logits(num_branches)
    ours, expected = criterion(logits), double_loop(logits, temperature, 0.5, eps)
    assert ours.shape == (num_branches,)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-14)
    weights = torch.arange(1.0, num_branches + 1, dtype=torch.float64)
    gradients = torch.autograd.grad(ours @ weights, logits)
    expected_gradients = torch.autograd.grad(expected @ weights, logits)
    for gradient, reference in zip(gradients, expected_gradients):
        torch.testing.assert_close(gradient, reference, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize('eps', [0.0, 1e-8])
def test_gradcheck_with_detached_teachers(eps):
    criterion = MimickingLoss(temperature=2.0, eps=eps)
    student, *teachers = random_logits(3)
    # The loss of a branch depends on its own logits as a student alone, so that finite
    # differences see what the detached gradient is.
    assert torch.autograd.gradcheck(lambda z: criterion([z, *teachers])[0], (student,))
    loss = criterion([student, *teachers])[0]
    for gradient in torch.autograd.grad(loss, teachers):
        assert gradient.abs().max() == 0


class Count(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def test_cost_does_not_grow_with_the_pairs():
    calls = []
    for num_branches in (2, 6):
        logits = random_logits(num_branches)
        with Count() as count:
            MimickingLoss()(logits).sum().backward()
        calls.append(count.calls)
        assert not {'mm', 'bmm', 'addmm', 'mv'} & set(count.calls)
    assert sum(calls[1].values()) < 3 * sum(calls[0].values())


@pytest.mark.parametrize('num_branches', [2, 3, 8])
def test_keeps_the_probabilities_alone(num_branches):
    logits = random_logits(num_branches, (16, 50))
    target = torch.arange(16)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda kept: kept):
        losses, entropies = MimickingLoss().with_cross_entropy(logits, target)
    assert losses.requires_grad
    assert entropies.requires_grad
    # Theirs, their sum, and the labels; the rest is a few scalars.
    storages = {tensor.untyped_storage().data_ptr(): tensor for tensor in kept}
    kept_bytes = sum(t.untyped_storage().nbytes() for t in storages.values())
    assert kept_bytes <= 8 * ((num_branches + 1) * 16 * 50 + 16 + 10)


@pytest.mark.parametrize('temperature', [1.0, 2.0])
@pytest.mark.parametrize('eps', [0.0, 1e-8])
def test_with_cross_entropy(temperature, eps):
    criterion = MimickingLoss(temperature, loss_weight=0.5, eps=eps)
    logits, target = random_logits(3), torch.tensor([0, 6, 3, 3, 1])
    weights = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    losses, entropies = criterion.with_cross_entropy(logits, target)
    expected = torch.stack([F.cross_entropy(z, target) for z in logits])
    torch.testing.assert_close(losses, double_loop(logits, temperature, 0.5, eps))
    torch.testing.assert_close(entropies, expected, rtol=1e-13, atol=1e-13)
    total = losses @ weights + entropies @ weights.flip(0)
    reference = double_loop(logits, temperature, 0.5, eps) @ weights
    reference = reference + expected @ weights.flip(0)
    for _ in range(2):  # the graph can be used again
        gradients = torch.autograd.grad(total, logits, retain_graph=True)
        for ours, theirs in zip(
            gradients, torch.autograd.grad(reference, logits, retain_graph=True)
        ):
            torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-13)
    # One of the two alone.
    (gradient,) = torch.autograd.grad(entropies[1], logits[1])
    (theirs,) = torch.autograd.grad(expected[1], logits[1])
    torch.testing.assert_close(gradient, theirs)


@pytest.mark.parametrize('scale', [0.1, 3.0, 30.0])
def test_float32_is_near_float64(scale):
    exact = random_logits(3, (256, 1000), scale=scale)
    rounded = [z.detach().float().requires_grad_() for z in exact]
    target = torch.arange(256)
    ours = MimickingLoss().with_cross_entropy(rounded, target)
    expected = MimickingLoss().with_cross_entropy(exact, target)
    for loss, reference in zip(ours, expected):
        torch.testing.assert_close(loss.double(), reference, rtol=1e-5, atol=1e-5)
    gradients = torch.autograd.grad(sum(loss.sum() for loss in ours), rounded)
    references = torch.autograd.grad(sum(loss.sum() for loss in expected), exact)
    for gradient, reference in zip(gradients, references):
        torch.testing.assert_close(gradient.double(), reference, rtol=1e-4, atol=1e-8)


def test_pairs():
    logits = random_logits(3)
    criterion = MimickingLoss(temperature=2.0, loss_weight=3.0)
    pairs = criterion.divergences(logits)
    assert pairs.shape == (3, 3)
    assert pairs.diagonal().tolist() == [0, 0, 0]
    for teacher in range(3):
        for student in range(3):
            expected = F.kl_div(
                F.log_softmax(logits[student] / 2, 1),
                F.log_softmax(logits[teacher] / 2, 1),
                reduction='batchmean',
                log_target=True,
            )
            torch.testing.assert_close(pairs[teacher, student], expected)
    torch.testing.assert_close(criterion(logits), 3.0 * 4 * pairs.sum(dim=0))


def test_a_single_side_branch_cannot_teach_itself():
    criterion = MimickingLoss(students='side', teachers='side')
    with pytest.raises(ValueError, match='there is one side branch alone'):
        criterion(random_logits(2))


@pytest.mark.parametrize('students', ['all', 'main', 'side'])
@pytest.mark.parametrize('teachers', ['all', 'main', 'side'])
@pytest.mark.parametrize('temperature', [1.0, 2.0])
def test_chosen_students_and_teachers(students, teachers, temperature):
    if students == teachers == 'main':
        with pytest.raises(ValueError, match='the main branch cannot learn from itself'):
            MimickingLoss(students=students, teachers=teachers)
        return
    branches = dict(all=(0, 1, 2), main=(2,), side=(0, 1))
    criterion = MimickingLoss(temperature, 0.5, students=students, teachers=teachers)
    logits = random_logits(3)
    expected = torch.zeros(3, dtype=torch.float64)
    for i in branches[students]:
        for j in branches[teachers]:
            if i != j:
                expected[i] += (
                    temperature**2
                    * 0.5
                    * F.kl_div(
                        F.log_softmax(logits[i] / temperature, 1),
                        F.softmax(logits[j].detach() / temperature, 1),
                        reduction='batchmean',
                    )
                )
    target = torch.arange(5)
    losses, _ = criterion.with_cross_entropy(logits, target)
    torch.testing.assert_close(losses, expected)
    torch.testing.assert_close(criterion(logits), expected)
    gradients = torch.autograd.grad(losses.sum(), logits)
    references = torch.autograd.grad(expected.sum(), logits, allow_unused=True)
    for gradient, reference in zip(gradients, references):
        if reference is None:
            assert gradient.abs().max() == 0
        else:
            torch.testing.assert_close(gradient, reference)


def test_equal_branches_have_nothing_to_learn():
    (logits,) = random_logits(1)
    loss = MimickingLoss()([logits, logits, logits])
    np.testing.assert_allclose(loss.detach(), 0, atol=1e-14)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize('eps', [0.0, 1e-8])
def test_large_logits_and_low_precision_stay_finite(dtype, eps):
    logits = [
        torch.tensor([[1e4, -1e4, 0.0]], dtype=dtype, requires_grad=True),
        torch.tensor([[-1e4, 1e4, 0.0]], dtype=dtype, requires_grad=True),
        torch.tensor([[0.5, 0.25, 0.0]], dtype=dtype, requires_grad=True),
    ]
    loss = MimickingLoss(eps=eps)(logits)
    assert loss.dtype == torch.float32
    assert loss.isfinite().all()
    for gradient in torch.autograd.grad(loss.sum(), logits):
        assert gradient.dtype == dtype
        assert gradient.isfinite().all()


def test_autocast_does_not_lower_the_precision():
    logits = random_logits(3, (64, 100), torch.float32)
    criterion = MimickingLoss()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = criterion(logits)
    torch.testing.assert_close(loss, criterion(logits), rtol=0, atol=0)


def test_float64_stays():
    assert MimickingLoss()(random_logits(2)).dtype == torch.float64


@pytest.mark.parametrize(
    'settings',
    [
        dict(temperature=0),
        dict(temperature=-1.0),
        dict(temperature=float('nan')),
        dict(temperature=float('inf')),
        dict(loss_weight=-1.0),
        dict(eps=-1e-8),
        dict(students='nobody'),
        dict(teachers='side0'),
    ],
)
def test_refuses_settings(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=f'{name}=.*it must be'):
        MimickingLoss(**settings)


def test_refuses_logits():
    criterion = MimickingLoss()
    with pytest.raises(ValueError, match='at least 2 branches, got 1'):
        criterion(random_logits(1))
    with pytest.raises(ValueError, match=r'one shape .*\(5, 7\), \(5, 8\)'):
        criterion([torch.zeros(5, 7), torch.zeros(5, 8)])
    with pytest.raises(ValueError, match=r'one shape \(N, classes\)'):
        criterion([torch.zeros(5), torch.zeros(5)])
