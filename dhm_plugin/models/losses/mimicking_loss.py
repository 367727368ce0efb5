"""The mimicking loss: every branch learns from every other."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import nn

from .closed_form import ClosedForm

BRANCHES = ('all', 'main', 'side')


@MODELS.register_module()
class MimickingLoss(nn.Module):
    r"""Every branch mimics the softened class probabilities of every other.

    For the logits :math:`z_1 \dots z_K` of K branches, student :math:`i` gets

    .. math::
        L_i = \alpha T^2 \sum_{j \ne i} \frac{1}{N} \sum_{n=1}^{N}
        KL(softmax(z_j^{(n)} / T) \,\|\, softmax(z_i^{(n)} / T))

    where the teacher :math:`z_j` is detached. With ``eps=0`` all ordered pairs together
    cost one softmax a branch (:class:`ClosedForm`); with ``eps``, and where each pair is
    asked for, one more matrix product.

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
        if not 0 < temperature < math.inf:
            raise ValueError(
                f'MimickingLoss: temperature={temperature}; it must be a positive, '
                'finite number, such as 1.0'
            )
        for name, value in (('loss_weight', loss_weight), ('eps', eps)):
            if not 0 <= value < math.inf:
                raise ValueError(
                    f'MimickingLoss: {name}={value}; it must be 0 or a positive, '
                    'finite number'
                )
        self.temperature = temperature
        self.loss_weight = loss_weight
        self.eps = eps
        for name, value in (('students', students), ('teachers', teachers)):
            if value not in BRANCHES:
                raise ValueError(
                    f'MimickingLoss: {name}={value!r}; it must be one of {BRANCHES}'
                )
        if students == teachers == 'main':
            raise ValueError(
                "MimickingLoss: students='main', teachers='main'; the main branch cannot "
                "learn from itself; set teachers='side' or 'all'"
            )
        self.students = students
        self.teachers = teachers

    def forward(self, logits: Sequence[torch.Tensor]) -> torch.Tensor:
        """Compute the mimicking loss of every branch.

        Args:
            logits (Sequence[torch.Tensor]): K tensors of shape (N, classes), one a
                branch, K >= 2. Lower precision than float32 is taken up to float32.

        Returns:
            torch.Tensor: Shape (K,): the loss of each branch as a student, the mean
            over the batch, times ``loss_weight`` and the squared temperature.

        Raises:
            ValueError: If there are fewer than two branches, or their shapes differ, or
                ``students`` and ``teachers`` leave no pair of them.
        """
        if self.eps or not self._everybody:
            pairs = self.divergences(logits)
            losses = (pairs * self._chosen(pairs)).sum(dim=0)
        else:
            losses, _ = ClosedForm.apply(None, *self._scaled(logits))
        return self.loss_weight * self.temperature**2 * losses

    def with_cross_entropy(
        self, logits: Sequence[torch.Tensor], target: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the mimicking loss and the cross-entropy of every branch.

        At ``temperature=1`` and ``eps=0`` both come from one softmax.

        Args:
            logits (Sequence[torch.Tensor]): As :meth:`forward` takes them.
            target (torch.Tensor): Labels (N,), int64, each a class.

        Returns:
            tuple[torch.Tensor, torch.Tensor]: Mimicking losses, as of :meth:`forward`,
            and cross-entropies, the mean over the batch; both of shape (K,).

        Raises:
            ValueError: As :meth:`forward` does.
        """
        if self.eps or self.temperature != 1 or not self._everybody:
            entropies = [F.cross_entropy(_at_least_float32(z), target) for z in logits]
            return self(logits), torch.stack(entropies)
        losses, entropies = ClosedForm.apply(target, *self._scaled(logits))
        return self.loss_weight * losses, entropies

    def divergences(self, logits: Sequence[torch.Tensor]) -> torch.Tensor:
        """Compute the divergence of every ordered pair of branches, for logging.

        Args:
            logits (Sequence[torch.Tensor]): As :meth:`forward` takes them.

        Returns:
            torch.Tensor: Shape (K, K). Row j, column i holds KL(teacher j || student
            i) at the temperature, in nats, the mean over the batch, without weight
            or squared temperature. The diagonal is 0.

        Raises:
            ValueError: As :meth:`forward` does.
        """
        # Autocast would take the matrix product down to half precision, where the
        # difference of two cross-entropies has no digit left.
        with torch.autocast(logits[0].device.type, enabled=False):
            scaled = torch.stack(self._scaled(logits))
            if self.eps:
                probs = scaled.softmax(dim=-1) + self.eps
                probs = probs / (1 + scaled.size(-1) * self.eps)
                log_probs = probs.log()
            else:
                log_probs = scaled.log_softmax(dim=-1)
                probs = log_probs.exp()
            # KL(p_j || p_i) = sum p_j log p_j - sum p_j log p_i, p_j detached.
            neg_cross_entropies = (
                probs.detach().flatten(1) @ log_probs.flatten(1).T / scaled.size(1)
            )
            neg_entropies = neg_cross_entropies.diagonal().detach()
            pairs = neg_entropies.unsqueeze(1) - neg_cross_entropies
            # The diagonal is 0 by value but not by gradient: it must go.
            self_pairs = torch.eye(len(pairs), dtype=torch.bool, device=pairs.device)
            return pairs.masked_fill(self_pairs, 0)

    def extra_repr(self) -> str:
        """Show the settings where the network is printed."""
        return (
            f'temperature={self.temperature}, loss_weight={self.loss_weight}, '
            f'eps={self.eps}, students={self.students}, teachers={self.teachers}'
        )

    @property
    def _everybody(self) -> bool:
        return self.students == self.teachers == 'all'

    def _chosen(self, pairs: torch.Tensor) -> torch.Tensor:
        """Give 1 for each pair [teacher, student] that counts, else 0."""
        chosen = torch.ones_like(pairs)
        main = slice(-1, None)
        side = slice(-1)
        if self.teachers != 'all':
            chosen[main if self.teachers == 'side' else side] = 0
        if self.students != 'all':
            chosen[:, main if self.students == 'side' else side] = 0
        if len(pairs) == 2 and self.students == self.teachers == 'side':
            raise ValueError(
                "MimickingLoss: students='side', teachers='side', but there is one side "
                "branch alone; set teachers='all' or 'main'"
            )
        return chosen

    def _scaled(self, logits: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        _check_logits(logits)
        logits = [_at_least_float32(z) for z in logits]
        if self.temperature == 1:
            return logits
        return [z / self.temperature for z in logits]


def _at_least_float32(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _check_logits(logits: Sequence[torch.Tensor]) -> None:
    shapes = [tuple(z.shape) for z in logits]
    if len(shapes) < 2:
        raise ValueError(
            f'MimickingLoss needs the logits of at least 2 branches, got {len(shapes)}'
        )
    if len(set(shapes)) != 1 or len(shapes[0]) != 2:
        raise ValueError(
            'MimickingLoss needs logits of one shape (N, classes) for every branch, '
            f'got {shapes}'
        )
