"""Batches whose random augmentation depends on their number alone."""

from collections.abc import Iterable, Iterator
from itertools import count, islice

from mmengine import dist
from mmengine.dataset import InfiniteSampler
from torch.utils.data import Sampler

from ..seeds import BATCH, seed_process


class SeededBatches(Sampler):
    """Number the batches of a sampler, so that each seeds whoever loads it.

    A batch is augmented with the same random numbers whichever process loads it, and
    whatever that has loaded before: the number of workers and whether they persist do
    not matter, and a training that goes on in the middle of an epoch loads the batches
    that are left, and no other.

    Args:
        batches (Sampler): Gives the indices of each batch.
        seed (int): Of the training.

    Attributes:
        begun (int): How often anybody began to go through the data.

    Example:
        >>> from torch.utils.data import BatchSampler
        >>> batches = SeededBatches(BatchSampler(range(5), 2, drop_last=False), seed=1)
        >>> batches.start(first=30, skip=1)
        >>> [len(indices) for indices in batches]
        [2, 1]
    """

    def __init__(self, batches: Sampler, seed: int) -> None:
        self.batches, self.seed = batches, seed
        # What MMEngine looks for in a batch sampler.
        self.sampler = getattr(batches, 'sampler', None)
        self.batch_size = getattr(batches, 'batch_size', None)
        self._first = self._skip = self.begun = 0
        self._endless = False

    def start(self, first: int, skip: int = 0, endless: bool = False) -> None:
        """Set the number of the next round's first batch, and how many to leave out.

        The next round alone has ``skip`` and ``endless``: a hook that looks at a batch
        before the training does must not use them up.

        Args:
            first (int): The iteration that the first batch is for.
            skip (int): Batches at its beginning that are not loaded. Defaults to 0.
            endless (bool): Whether to go through the data again and again, with
                ``set_epoch`` of ``batches.sampler`` before each round, if it has that.
                Defaults to False.
        """
        self._first, self._skip, self._endless = first, skip, endless

    def __len__(self) -> int:
        """Count the batches of one round through the data."""
        return len(self.batches)

    def __iter__(self) -> Iterator['SeededIndices']:
        """Give the indices of each batch."""
        self.begun += 1
        if isinstance(self.sampler, InfiniteSampler):
            # It has one order for ever, which ends for all when one of them stops.
            self.sampler.indices = self.sampler._indices_of_rank()
        rounds = self._rounds() if self._endless else self.batches
        skip, self._skip, self._endless = self._skip, 0, False
        point = (BATCH, dist.get_rank())
        for number, indices in islice(zip(count(self._first), rounds), skip, None):
            yield SeededIndices(indices, self.seed, (*point, number))

    def _rounds(self) -> Iterator[list[int]]:
        for epoch in count():
            if hasattr(self.sampler, 'set_epoch'):
                self.sampler.set_epoch(epoch)
            indices = None
            for indices in self.batches:
                yield indices
            if indices is None:
                raise ValueError(
                    'the data set gives no batch of '
                    f'{self.batch_size} images in a whole round; take a smaller '
                    'batch_size, or drop_last=False'
                )


class SeededIndices(list):
    """The indices of a batch; going through them seeds the process that does.

    Args:
        indices (Iterable[int]): The indices.
        seed (int): Of the training.
        point (tuple[int]): As :func:`seed_process` takes it.
    """

    def __init__(self, indices: Iterable[int], seed: int, point: tuple[int, ...]) -> None:
        super().__init__(indices)
        self.seed, self.point = seed, point

    def __iter__(self) -> Iterator[int]:
        """Seed, and give the indices."""
        seed_process(self.seed, *self.point)
        yield from super().__iter__()

    def __reduce__(self) -> tuple:
        # The default would go through them, in the process that loads nothing.
        return SeededIndices, (list(super().__iter__()), self.seed, self.point)
