"""The loop over epochs, which goes on in the middle of one."""

from typing import Any

from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpretrain.registry import LOOPS
from torch.utils.data import DataLoader

from ...datasets.seeded_batches import SeededBatches
from .seeded_loader import seeded_loader


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """Do as MMEngine's loop, and go on after the batches that an epoch already had.

    Random augmentation depends on seed, process and iteration alone. Every training with
    ``by_epoch=True`` has this loop; a config need not name it.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): Of the training, or its config.
        **kwargs: As in MMEngine's ``EpochBasedTrainLoop``.
    """

    def __init__(
        self, runner: Runner, dataloader: DataLoader | dict, **kwargs: Any
    ) -> None:
        super().__init__(runner, seeded_loader(runner, dataloader), **kwargs)
        # Batches of this epoch that a training which goes on has had: ResumeHook knows.
        self.batches_done = 0
        self._first_iter: int | None = None

    def batches_of_epoch(self, epoch: int, iteration: int) -> int:
        """Tell how many batches of an epoch are done after so many iterations.

        Args:
            epoch (int): The epoch: the present one, or the one to come.
            iteration (int): Iterations since the training began.

        Returns:
            int: The number of batches; 0 if the epoch has not begun.
        """
        if epoch != self._epoch:
            return 0
        if self._first_iter is None:  # it has not gone on yet
            return self.batches_done
        return iteration - self._first_iter

    def run_epoch(self) -> None:
        """Go through what is left of an epoch."""
        batches = self.dataloader.batch_sampler
        if not isinstance(batches, SeededBatches):
            self.batches_done = 0
        self._first_iter = self._iter - self.batches_done
        if isinstance(batches, SeededBatches):
            batches.start(self._first_iter)
        if self.batches_done:
            # As between two iterations: if none is left, what is saved next has it.
            self.runner.message_hub.update_info('iter', self._iter - 1)
        # From here on as MMEngine's, but for what hooks may have looked at before.
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        if isinstance(batches, SeededBatches):
            batches.start(self._first_iter, skip=self.batches_done)
        for index, data_batch in enumerate(self.dataloader):
            self.run_iter(index, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
        self.batches_done = 0
        self._first_iter = self._iter

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Train on a batch.

        Args:
            idx (int): Its number among those of the epoch that were left.
            data_batch (Any): As the data loader gives it.
        """
        super().run_iter(self.batches_done + idx, data_batch)
