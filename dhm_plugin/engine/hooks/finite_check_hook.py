"""Stops a training whose losses or weights are not finite."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from mmpretrain.structures import DataSample
from torch import nn

from ...checked_arguments import checked_arguments
from ..utils import checkpoint_is_due, log_is_due, network_of

# At most so many iterations are kept where the log has no lines.
_KEPT = 1000
# So many skipped steps in a row take the scale of float16 from 2**16 below any use: the
# training stands still.
_SKIPPED_STEPS = 30
# Of a list of images or weights, so many are named.
_NAMED = 5


class _Iteration(NamedTuple):
    """What is kept of an iteration until it is looked at; no tensor is fetched before."""

    number: int
    epoch: int
    losses: dict[str, torch.Tensor]
    # Which images are finite, (N,), and their data samples; of images that are floats.
    finite: torch.Tensor | None
    samples: Sequence


@HOOKS.register_module()
@checked_arguments
class FiniteCheckHook(Hook):
    """Stop a training before it saves NaN or infinity.

    After one such loss every weight is NaN; the training would go on, and its checkpoints
    would replace the good ones.

    - Losses are looked at when a line of the log or a checkpoint is due, those of all
      iterations since the last look. On a GPU that is one fetch, where the log has
      fetched them too; no other iteration waits.
    - Weights and buffers, such as the statistics of norm layers, are looked at when a
      checkpoint is due and, where epochs are counted, after each; what is saved, with the
      average of ``EMAHook``, again. A buffer that is infinite from the start, such as a
      mask, may be.
    - Images are looked at where the data set gives floats; bytes are finite.

    With a loss scale (mixed precision in float16) a step whose gradients are not finite
    changes no weight. There, losses are at fault when those of 30 iterations in a row are
    not finite.

    All processes stop, with the same message. What is found only before a checkpoint is
    saved stops the one that saves.

    Raises:
        FloatingPointError: If one is not finite. It names the iteration, which branch and
            loss was the first, and the images if they are not finite.
    """

    # After EMAHook and the log, before CheckpointHook.
    priority = 'LOW'

    def __init__(self) -> None:
        self._kept: list[_Iteration] = []
        # The message on the last iterations in a row that had such a loss, and how many.
        self._about, self._in_a_row = '', 0
        self._may_be_infinite: frozenset[str] = frozenset()

    def before_train(self, runner: Runner) -> None:
        """Look at the weights that the training begins with."""
        network = network_of(runner)
        weights = {key for key, _ in network.named_parameters()}
        self._may_be_infinite = frozenset()
        state = self._looked_at(network.state_dict())
        wrong = _not_finite(state)
        self._may_be_infinite = frozenset(
            key for key in wrong if key not in weights and not state[key].isnan().any()
        )
        wrong = [key for key in wrong if key not in self._may_be_infinite]
        if wrong:
            raise FloatingPointError(
                f'before the first iteration NaN or infinity is in {_listed(wrong)}; '
                'begin with another checkpoint'
            )

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Keep the losses, and look at all that are kept when it is time to."""
        losses = {
            # Without their graphs, which would be kept along.
            key: value.detach()
            for key, value in (outputs or {}).items()
            if 'loss' in key and isinstance(value, torch.Tensor)
        }
        if 'loss' in losses:  # their sum comes after what it is the sum of
            losses['loss'] = losses.pop('loss')
        self._kept.append(
            _Iteration(
                runner.iter + 1, runner.epoch + 1, losses, *_finite_images(data_batch)
            )
        )
        saves = self._may_save(runner, batch_idx)
        if saves or len(self._kept) == _KEPT or log_is_due(runner, batch_idx):
            self._look(runner, saves)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Look at what is saved, the average of ``EMAHook`` too, in the one process."""
        for name in ('state_dict', 'ema_state_dict'):
            wrong = self._wrong(checkpoint.get(name, {}))
            if wrong:
                number = checkpoint.get('meta', {}).get('iter', runner.iter)
                raise _stop(self._on_weights(number, wrong))

    def _may_save(self, runner: Runner, batch_idx: int) -> bool:
        """Whether something may be saved before the next iteration."""
        return (
            self.end_of_epoch(runner.train_dataloader, batch_idx)
            or self.is_last_train_iter(runner)
            or checkpoint_is_due(runner, by_epoch=False)
        )

    def _look(self, runner: Runner, at_weights: bool) -> None:
        """Fetch all at once; stop all processes if one has found something."""
        kept, self._kept = self._kept, []
        network = network_of(runner)
        tensors = [loss for iteration in kept for loss in iteration.losses.values()]
        state = network.state_dict() if at_weights else {}
        if at_weights:
            tensors.append(_norm(self._looked_at(state)))
        values = iter(torch.stack(tensors).tolist() if tensors else ())
        scaled = hasattr(runner.optim_wrapper, 'loss_scaler')
        enough = _SKIPPED_STEPS if scaled else 1
        found = None
        for iteration in kept:
            losses = {key: next(values) for key in iteration.losses}
            if all(math.isfinite(value) for value in losses.values()):
                self._in_a_row = 0
                continue
            self._in_a_row += 1
            if self._in_a_row == 1:
                self._about = _on_losses(iteration, losses, network)
            if self._in_a_row >= enough:
                found = found or (iteration.number, self._about)
        if found is None and at_weights and not math.isfinite(next(values)):
            wrong = self._wrong(state)
            if wrong:
                number = runner.iter + 1
                found = number, self._on_weights(number, wrong)
        self._stop_all(found)

    def _stop_all(self, found: tuple[int, str] | None) -> None:
        """Raise in every process what the first one has found."""
        count = torch.tensor(int(found is not None))
        # A process that went on would wait for ever for one that has stopped.
        dist.all_reduce(count)
        if not count:
            return
        of_all = dist.all_gather_object(found)
        (_, message), rank = min(
            (one, rank) for rank, one in enumerate(of_all) if one is not None
        )
        where = f' (in process {rank} of {len(of_all)})' if len(of_all) > 1 else ''
        raise _stop(message + where)

    def _looked_at(self, state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        return {
            key: value
            for key, value in state.items()
            if isinstance(value, torch.Tensor)
            and value.is_floating_point()
            and key.removeprefix('module.') not in self._may_be_infinite
        }

    def _wrong(self, state: Mapping[str, Any]) -> list[str]:
        return _not_finite(self._looked_at(state))

    def _on_weights(self, number: int, wrong: Sequence[str]) -> str:
        before = f' ({self._about})' if self._about else ''
        return f'after iteration {number} NaN or infinity is in {_listed(wrong)}{before}'


def _stop(message: str) -> FloatingPointError:
    return FloatingPointError(
        f'{message}. The training stops, and this is not saved: mend the images, if they '
        'are named, or resume with a lower learning rate or with optim_wrapper.clip_grad'
    )


def _on_losses(
    iteration: _Iteration, losses: Mapping[str, float], network: nn.Module
) -> str:
    first, *others = (key for key, value in losses.items() if not math.isfinite(value))
    branches = getattr(network, 'branch_names', ())
    branch = ''.join(
        f' of branch {name}' for name in branches if first.endswith(f'_{name}')
    )
    with_it = f', and with it {", ".join(others)}' if others else ''
    return (
        f'in iteration {iteration.number} (epoch {iteration.epoch}) {first}{branch} is '
        f'{losses[first]}{with_it}{_on_images(iteration)}'
    )


def _on_images(iteration: _Iteration) -> str:
    if iteration.finite is None or iteration.finite.all():
        return ''
    samples = [*iteration.samples]
    names = []
    for i in (~iteration.finite).nonzero().flatten().tolist():
        sample = samples[i] if len(samples) == len(iteration.finite) else DataSample()
        index = sample.get('sample_idx')
        place = f'image {i} of its batch' if index is None else f'image {index}'
        names.append(sample.get('img_path') or place)
    return f'; NaN or infinity is in its images: {_listed(names)}'


def _finite_images(batch: Any) -> tuple[torch.Tensor | None, Sequence]:
    """Tell which images are finite, and give their data samples; None of bytes."""
    images = batch.get('inputs', ()) if isinstance(batch, dict) else ()
    if len(images) and isinstance(images[0], bytes):  # DaliPreprocessor's
        return None, ()
    if len(images) and images[0].ndim == 4:  # InMemoryDataset's
        images = images[0]
    if not len(images) or not torch.is_floating_point(images[0]):
        return None, ()
    sums = [image.sum(dtype=torch.float32) for image in images]
    return torch.stack(sums).isfinite(), batch['data_samples']


def _norm(state: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Give a scalar that is finite only if all of these tensors are."""
    return torch.nn.utils.get_total_norm(list(state.values()))


def _not_finite(state: Mapping[str, torch.Tensor]) -> list[str]:
    """Give the keys of what is not finite."""
    if _norm(state).isfinite():
        return []
    # Squared, large numbers are infinite too.
    return [key for key, value in state.items() if not value.isfinite().all()]


def _listed(names: Sequence[str]) -> str:
    more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
    return ', '.join(names[:_NAMED]) + more
