"""Draws a part of a data set by seed, and goes through it without end."""

from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dataset import InfiniteSampler
from mmpretrain.registry import DATA_SAMPLERS

from ..checked_arguments import checked_arguments


@DATA_SAMPLERS.register_module()
@checked_arguments
class InfinitePartSampler(InfiniteSampler):
    """Train on a part of the images that the seed draws, for so many iterations.

    The part is drawn once. Of one seed, a smaller part lies in a larger one. All
    processes draw the same part.

    Args:
        dataset (Sized): The data set.
        images (int): Size of the part.
        shuffle (bool): Whether each round has another order. Defaults to True.
        seed (int, optional): Of the part and of the order. Defaults to None: the
            runner's.

    Raises:
        ValueError: If ``images`` is not positive, or the data set has fewer.

    Example:
        >>> from itertools import islice
        >>> from dhm_plugin import InfinitePartSampler
        >>> sampler = InfinitePartSampler(range(100), images=3, seed=1)
        >>> len(sampler), len(set(islice(sampler, 60)))
        (3, 3)
    """

    def __init__(
        self,
        dataset: Sized,
        images: int,
        shuffle: bool = True,
        seed: int | None = None,
    ) -> None:
        super().__init__(dataset, shuffle, seed)
        if not 0 < images <= len(dataset):
            raise ValueError(
                f'InfinitePartSampler: images={images}; it must be at least 1 and at '
                f'most {len(dataset)}, the number of images of the data set'
            )
        rng = np.random.default_rng(self.seed)
        self.part = rng.permutation(len(dataset))[:images].tolist()
        # What the order is drawn of.
        self.size = images

    def __iter__(self) -> Iterator[int]:
        """Give the indices of the part, again and again."""
        for place in super().__iter__():
            yield self.part[place]
