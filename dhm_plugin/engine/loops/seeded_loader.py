"""A train loop's data loader, with batches that seed whoever loads them."""

from mmengine.runner import Runner
from torch.utils.data import DataLoader, IterableDataset

from ...compat import replace_batch_sampler
from ...datasets.seeded_batches import SeededBatches


def seeded_loader(runner: Runner, dataloader: DataLoader | dict) -> DataLoader:
    """Build a data loader as MMEngine's loops do, and let its batches be seeded.

    Args:
        runner (Runner): Of the training.
        dataloader (DataLoader | dict): Of the training, or its config.

    Returns:
        DataLoader: Its ``batch_sampler`` is a :class:`SeededBatches`, unless it makes no
        batches, or has no indices to make them of.
    """
    if isinstance(dataloader, dict):
        differ = runner._randomness_cfg.get('diff_rank_seed', False)
        dataloader = runner.build_dataloader(
            dataloader, seed=runner.seed, diff_rank_seed=differ
        )
    batches = dataloader.batch_sampler
    if batches is not None and not isinstance(dataloader.dataset, IterableDataset):
        batches = SeededBatches(batches, runner.seed)
        replace_batch_sampler(dataloader, batches)
    return dataloader
