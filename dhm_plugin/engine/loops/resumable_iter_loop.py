"""The loop over iterations, which goes on without loading what it already had."""

from collections.abc import Iterator
from typing import Any

from mmengine.runner import IterBasedTrainLoop, Runner
from mmpretrain.registry import LOOPS
from torch.utils.data import DataLoader

from ...datasets.seeded_batches import SeededBatches
from .seeded_loader import seeded_loader


@LOOPS.register_module()
class ResumableIterLoop(IterBasedTrainLoop):
    """Do as MMEngine's loop, and load no batch that a training already had.

    Random augmentation depends on seed, process and iteration alone. Every training with
    ``by_epoch=False`` has this loop; a config need not name it.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): Of the training, or its config.
        **kwargs: As in MMEngine's ``IterBasedTrainLoop``.
    """

    def __init__(
        self, runner: Runner, dataloader: DataLoader | dict, **kwargs: Any
    ) -> None:
        loader = seeded_loader(runner, dataloader)
        seeded = isinstance(loader.batch_sampler, SeededBatches)
        # mmengine's loop lets the workers begin when it is built, which is before it is
        # known where a training goes on.
        super().__init__(runner, _NotYet(loader) if seeded else loader, **kwargs)
        self.dataloader = loader

    def run(self) -> Any:
        """Train."""
        if isinstance(self.dataloader.batch_sampler, SeededBatches):
            # onedl-mmengine's loop has a switch by which it asks for no batch too many.
            asks = not getattr(self, 'fast_forward_on_resume', False)
            self.dataloader_iterator = _Remaining(
                self.dataloader, self._iter, asks * self._iter
            )
        return super().run()


class _NotYet:
    """A data loader that gives no batch."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def __iter__(self) -> Iterator:
        return iter(())


class _Remaining:
    """The batches that are left, after the empty ones that MMEngine's loop drops."""

    def __init__(self, loader: DataLoader, done: int, empty: int) -> None:
        self._loader, self._done, self._empty = loader, done, empty
        self._batches: Iterator | None = None
        self._begun = 0

    def __next__(self) -> Any:
        if self._empty:
            self._empty -= 1
            return None
        sampler = self._loader.batch_sampler
        # PyTorch's persistent workers have one iterator: a hook that went through the
        # data, as PreciseBNHook does, has begun it anew.
        taken = self._loader.persistent_workers and sampler.begun != self._begun
        if self._batches is None or taken:
            sampler.start(first=0, skip=self._done, endless=True)
            self._batches = iter(self._loader)
        batch = next(self._batches)
        self._begun = sampler.begun
        self._done += 1
        return batch

    def skip_iter(self, number: int) -> None:
        """Drop so many, as onedl-mmengine's loop asks for."""
        for _ in range(number):
            next(self)
