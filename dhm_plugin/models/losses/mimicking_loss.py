"""The mimicking loss: every branch learns from every other."""

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import nn

from ...checked_arguments import checked_arguments, is_number

BRANCH_GROUPS = ('all', 'main', 'side')


@MODELS.register_module()
@checked_arguments
class MimickingLoss(nn.Module):
    r"""Every branch mimics the softened class probabilities of every other.

    For the logits :math:`z_1 \dots z_K` of K branches, student :math:`i` gets

    .. math::
        L_i = \alpha T^2 \sum_{j \ne i} \frac{1}{N} \sum_{n=1}^{N}
        KL(softmax(z_j^{(n)} / T) \,\|\, softmax(z_i^{(n)} / T))

    where the teacher :math:`z_j` is detached.

    Source: Li & Chen, *Dynamic Hierarchical Mimicking Towards Consistent
    Optimization Objectives*, CVPR 2020.

    Args:
        temperature (float): T, by which the logits are divided. Positive.
            Defaults to 1.0.
        loss_weight (float): :math:`\alpha`. Defaults to 1.0.
        eps (float): Smooths both distributions, ``(p + eps) / (1 + classes *
            eps)``, as the authors' code does with 1e-8. 0 needs no smoothing: the
            logarithms are taken of the logits. Defaults to 0.0.
        students (str): Which branches learn: ``'all'``, ``'main'`` or ``'side'``. The
            losses of the others are 0. Defaults to ``'all'``.
        teachers (str): Which branches they learn from: ``'all'``, ``'main'`` or
            ``'side'``. Defaults to ``'all'``, which makes it the dense pairs of DKS
            (Sun et al., *Deeply-supervised Knowledge Synergy*, CVPR 2019) and DHM.
            ``students='side', teachers='main'`` is the one-way self-distillation of
            *Be Your Own Teacher* (Zhang et al., ICCV 2019).

    Raises:
        ValueError: If ``temperature`` is not positive, or ``loss_weight`` or
            ``eps`` is negative, or one of them is not finite, or ``students`` or
            ``teachers`` is unknown, or both are ``'main'``.

    Example:
        >>> import torch
        >>> from dhm_plugin import MimickingLoss
        >>> side, main = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> MimickingLoss(temperature=2.0)([side, main])
        tensor([1.0915, 1.0296])
    """

    def __init__(
        self,
        temperature: float = 1.0,
        loss_weight: float = 1.0,
        eps: float = 0.0,
        students: str = 'all',
        teachers: str = 'all',
    ) -> None:
        super().__init__()
        if not is_number(temperature) or not 0 < temperature < math.inf:
            raise ValueError(
                f'MimickingLoss: temperature={temperature!r}; it must be a positive, '
                'finite number, such as 1.0'
            )
        for name, value in (('loss_weight', loss_weight), ('eps', eps)):
            if not is_number(value) or not 0 <= value < math.inf:
                raise ValueError(
                    f'MimickingLoss: {name}={value!r}; it must be 0 or a positive, '
                    'finite number'
                )
        for name, value in (('students', students), ('teachers', teachers)):
            if value not in BRANCH_GROUPS:
                raise ValueError(
                    f'MimickingLoss: {name}={value!r}; it must be one of {BRANCH_GROUPS}'
                )
        if students == teachers == 'main':
            raise ValueError(
                "MimickingLoss: students='main', teachers='main'; the main branch cannot "
                "learn from itself; set teachers='side' or 'all'"
            )
        self.temperature = temperature
        self.loss_weight = loss_weight
        self.eps = eps
        self.students = students
        self.teachers = teachers

    def forward(self, logits: Sequence[torch.Tensor]) -> torch.Tensor:
        """Compute the mimicking loss of every branch.

        Args:
            logits (Sequence[torch.Tensor]): K tensors of shape (N, classes), one a
                branch, main branch last. Lower precision than float32 is taken up to
                float32.

        Returns:
            torch.Tensor: Shape (K,): the loss of each branch as a student, the mean
            over the batch, times ``loss_weight`` and the squared temperature.
        """
        log_probs = [self.log_probabilities(z) for z in logits]
        losses = [log_p.new_zeros(()) for log_p in log_probs]
        for teacher, student in self.pairs(len(logits)):
            divergence = kl_divergence(log_probs[teacher].detach(), log_probs[student])
            losses[student] = losses[student] + divergence
        return self.loss_weight * self.temperature**2 * torch.stack(losses)

    def divergences(self, logits: Sequence[torch.Tensor]) -> torch.Tensor:
        """Compute the divergence of every ordered pair of branches, for logging.

        Args:
            logits (Sequence[torch.Tensor]): As :meth:`forward` takes them.

        Returns:
            torch.Tensor: Shape (K, K). Row j, column i holds KL(teacher j || student
            i) at the temperature, in nats, the mean over the batch, without weight
            or squared temperature. The diagonal is 0.
        """
        log_probs = [self.log_probabilities(z.detach()) for z in logits]
        pairs = [kl_divergence(t, s) for t in log_probs for s in log_probs]
        return torch.stack(pairs).view(len(logits), len(logits))

    def pairs(self, branches: int) -> Iterator[tuple[int, int]]:
        """Give the ordered pairs of branches that count: teacher, student.

        Args:
            branches (int): K; the last one is the main branch.

        Yields:
            tuple[int, int]: The places of teacher and student, from 0.
        """
        numbers = range(branches)
        members = {'all': numbers, 'side': numbers[:-1], 'main': numbers[-1:]}
        for student in members[self.students]:
            for teacher in members[self.teachers]:
                if teacher != student:
                    yield teacher, student

    def log_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Soften logits by the temperature, and take the log-softmax.

        Args:
            logits (torch.Tensor): Shape (..., classes).

        Returns:
            torch.Tensor: Log-probabilities of the same shape, float32 at least.
        """
        z = at_least_float32(logits)
        if self.temperature != 1:
            # Less the largest, which changes no softmax: so large logits lose no digits
            # in the division.
            z = (z - z.detach().amax(dim=-1, keepdim=True)) / self.temperature
        if self.eps:
            return ((z.softmax(dim=-1) + self.eps) / (1 + z.size(-1) * self.eps)).log()
        return z.log_softmax(dim=-1)

    def extra_repr(self) -> str:
        """Show the settings where the network is printed."""
        return (
            f'temperature={self.temperature}, loss_weight={self.loss_weight}, '
            f'eps={self.eps}, students={self.students}, teachers={self.teachers}'
        )


def at_least_float32(logits: torch.Tensor) -> torch.Tensor:
    """Take lower precision up, which autocast on a CPU does not do for every loss.

    Args:
        logits (torch.Tensor): Of any shape.

    Returns:
        torch.Tensor: The same in float32, or as they are in float64.
    """
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def kl_divergence(teacher: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """Compute KL(teacher || student), in nats.

    Args:
        teacher (torch.Tensor): Log-probabilities (N, classes).
        student (torch.Tensor): Log-probabilities (N, classes).

    Returns:
        torch.Tensor: A scalar, the mean over the batch.
    """
    # PyTorch takes the student first.
    return F.kl_div(student, teacher, reduction='batchmean', log_target=True)
