"""Counts the training images that could not be read."""

from collections.abc import Iterator

import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...checked_arguments import checked_arguments
from ...datasets import LoadReadableImage


@HOOKS.register_module()
@checked_arguments
class UnreadableImagesHook(Hook):
    """Log how many unreadable images :class:`LoadReadableImage` skipped in an epoch.

    If there were any, their number, summed over all processes, goes into the log and to
    every visualization backend as ``unreadable_images``.
    """

    def __init__(self) -> None:
        self._skipped: dict[LoadReadableImage, int] = {}

    def after_train_epoch(self, runner: Runner) -> None:
        """Log the number of this epoch."""
        before = self._skipped
        # MMPretrain's SwitchRecipeHook gives a data set others.
        self._skipped = {
            transform: transform.num_skipped
            for transform in _loading_transforms(runner.train_dataloader.dataset)
        }
        if not self._skipped:
            return
        count = torch.tensor(
            sum(number - before.get(of, 0) for of, number in self._skipped.items())
        )
        dist.all_reduce(count)
        if count:
            runner.logger.warning(
                f'Epoch {runner.epoch + 1}: skipped {int(count)} unreadable images; '
                'the errors above name them.'
            )
            runner.visualizer.add_scalar(
                'unreadable_images', int(count), step=runner.epoch + 1
            )


def _loading_transforms(dataset) -> Iterator[LoadReadableImage]:
    """Find the loading transforms of a data set, through any wrappers."""
    for transform in getattr(getattr(dataset, 'pipeline', None), 'transforms', ()):
        if isinstance(transform, LoadReadableImage):
            yield transform
    wrapped = getattr(dataset, 'dataset', None)
    for inner in getattr(dataset, 'datasets', [wrapped] if wrapped else []):
        yield from _loading_transforms(inner)
