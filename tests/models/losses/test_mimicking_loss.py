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


@pytest.mark.parametrize('classes', [10, 1000])
@pytest.mark.parametrize('scale', [1.0, 10.0, 30.0])
@pytest.mark.parametrize('size', [1e-1, 1e-5])
@pytest.mark.parametrize('temperature', [1.0, 3.0])
def test_float32_is_right(classes, scale, size, temperature):
    """To 1% at 1e-5, whatever is common to all logits."""
    generator = torch.Generator().manual_seed(0)
    first, noise = torch.randn(2, 256, classes, generator=generator, dtype=torch.float64)
    criterion = MimickingLoss(temperature)

    def losses(step, dtype=torch.float64, offset=0):
        # In steps that float32 has also at 1000: else the offset itself rounds them.
        logits = [scale * first, scale * first + step * noise]
        logits = [(z * 2**13).round() / 2**13 for z in logits]
        return criterion([z.to(dtype) + offset for z in logits]) / temperature**2

    low, high = 0.0, 100.0
    for _ in range(50):
        step = (low + high) / 2
        low, high = (step, high) if losses(step)[1] < size else (low, step)
    exact = losses(step)
    assert exact[1].item() == pytest.approx(size, rel=0.05)
    rounded = losses(step, torch.float32)
    moved = losses(step, torch.float32, offset=1000)
    torch.testing.assert_close(rounded.double(), exact, rtol=0.01, atol=0)
    assert (moved - rounded).abs().max() < 1e-6


@pytest.mark.parametrize('scale', [0.1, 3.0, 30.0])
def test_gradients_in_float32(scale):
    exact = random_logits(3, (256, 1000), scale=scale)
    rounded = [z.detach().float().requires_grad_() for z in exact]
    gradients = torch.autograd.grad(MimickingLoss()(rounded).sum(), rounded)
    references = torch.autograd.grad(MimickingLoss()(exact).sum(), exact)
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


def test_a_single_side_branch_has_nobody_to_learn_from():
    """As where the other one is not forked."""
    losses = MimickingLoss(students='side', teachers='side')(random_logits(2))
    assert losses.tolist() == [0, 0]


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
    losses = criterion(logits)
    torch.testing.assert_close(losses, expected)
    gradients = torch.autograd.grad(losses.sum(), logits, allow_unused=True)
    references = torch.autograd.grad(expected.sum(), logits, allow_unused=True)
    for gradient, reference in zip(gradients, references):
        if reference is None:
            assert gradient is None
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


class Operations(TorchDispatchMode):
    """Names what is computed, and its types."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        dtype = result.dtype if isinstance(result, torch.Tensor) else None
        self.seen.add((func.overloadpacket.__name__, dtype))
        return result


@pytest.mark.parametrize('temperature', [1.0, 3.0])
def test_neither_tf32_nor_autocast_can_lower_the_precision(temperature):
    """There is no matrix product, and all of it is float32, also under autocast."""
    logits = random_logits(3, (64, 100), torch.float32)
    criterion = MimickingLoss(temperature)
    with torch.autocast('cpu', dtype=torch.bfloat16), Operations() as operations:
        loss = criterion(logits)
        loss.sum().backward()
    assert {dtype for _, dtype in operations.seen} <= {torch.float32, None}
    names = {name for name, _ in operations.seen}
    assert '_log_softmax' in names
    assert not {'mm', 'bmm', 'addmm', 'baddbmm', 'mv', 'dot', 'convolution'} & names
    torch.testing.assert_close(loss, criterion(logits), rtol=0, atol=0)


@pytest.mark.parametrize(
    'settings',
    [
        dict(temperature=0),
        dict(temperature=-1.0),
        dict(temperature=float('nan')),
        dict(temperature=float('inf')),
        dict(temperature='2'),
        dict(temperature=True),
        dict(loss_weight=None),
        dict(loss_weight=float('inf')),
        dict(eps=float('inf')),
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


def test_divergences_have_no_gradient():
    logits = [torch.randn(2, 3, requires_grad=True) for _ in range(2)]
    assert not MimickingLoss().divergences(logits).requires_grad
