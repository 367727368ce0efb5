"""Makes a share of the training labels wrong."""

import numpy as np
import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...checked_arguments import checked_arguments
from ...datasets import InMemoryDataset
from ..utils import network_of


@HOOKS.register_module()
@checked_arguments
class WrongLabelsHook(Hook):
    """Train with label noise: a share of the labels is wrong, from the start to the end.

    Which images have a wrong label, and which one, is drawn from the runner's seed alone:
    it is the same for every network, and for a training that goes on. Each of the other
    classes is as probable. The labels of validation and test stay as they are.

    Args:
        share (float): Of the data set's images, between 0 and 1. A part of them, as
            :class:`InfinitePartSampler` draws it, has about that share.

    Raises:
        ValueError: If ``share`` is not between 0 and 1, or the data loader has worker
            processes, which would have the labels of before.
        TypeError: If the training data set is no :class:`InMemoryDataset`.
    """

    def __init__(self, share: float) -> None:
        if not 0 < share < 1:
            raise ValueError(
                f'WrongLabelsHook: share={share}; it must be between 0 and 1'
            )
        self.share = share

    def before_train(self, runner: Runner) -> None:
        """Draw the labels."""
        loader = runner.train_dataloader
        dataset = loader.dataset
        if not isinstance(dataset, InMemoryDataset):
            raise TypeError(
                'WrongLabelsHook: the data set of train_dataloader is a '
                f'{type(dataset).__name__}; it must be an InMemoryDataset'
            )
        if loader.num_workers:
            raise ValueError(
                'WrongLabelsHook: train_dataloader has '
                f'num_workers={loader.num_workers}; it must have 0'
            )
        # With diff_rank_seed each process has its own: the first one's is taken.
        seed = torch.tensor(runner.seed)
        dist.broadcast(seed)
        # Another stream than that of the sampler, whose part would be wrong as a whole.
        rng = np.random.default_rng(np.random.SeedSequence(int(seed)).spawn(1)[0])
        number = round(self.share * len(dataset))
        images = torch.from_numpy(rng.permutation(len(dataset))[:number])
        classes = network_of(runner).head.num_classes
        shifts = torch.from_numpy(rng.integers(1, classes, number))
        labels = dataset.labels.cpu()
        labels[images] = (labels[images] + shifts) % classes
        dataset.labels = labels.to(dataset.labels.device)
