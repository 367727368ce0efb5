"""How far several trainings are."""

from .log import last_step
from .training import Training


class Work:
    """How much of trainings is done, in FLOPs.

    Args:
        trainings (list[Training]): What is left to train; some may have begun.
    """

    def __init__(self, trainings: list[Training]) -> None:
        flops = {t.name: t.step_flops() for t in {t.name: t for t in trainings}.values()}
        self._begun = {t.work_dir: last_step(t.work_dir) for t in trainings}
        self._flops = {t.work_dir: flops[t.name] for t in trainings}
        self.total = max(1, sum(self._left(t, t.length) for t in trainings))
        self._ended = 0.0

    def _left(self, training: Training, step: int) -> float:
        folder = training.work_dir
        return max(0, step - self._begun[folder]) * self._flops[folder]

    def end(self, training: Training) -> None:
        """Count a training as done, however it ended."""
        self._ended += self._left(training, training.length)

    def done(self, running: list[Training]) -> float:
        """Give what is done.

        Args:
            running (list[Training]): What is trained now.

        Returns:
            float: 0 until each of the first ones has saved a checkpoint: before, a speed
            would be guessed from a part of them.
        """
        parts = [self._left(t, last_step(t.work_dir)) for t in running]
        return self._ended + sum(parts) if self._ended or all(parts) else 0.0
