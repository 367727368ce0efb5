"""Does the validation that was due when a training was killed."""

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS

from ...checked_arguments import checked_arguments

# In the message hub, and so in a checkpoint: when the last one was, in what the training
# loop counts.
_LAST = 'last_validation'


@HOOKS.register_module()
@checked_arguments
class DueValidationHook(Hook):
    """Begin a resumed training with the validation that follows its checkpoint.

    MMEngine writes a checkpoint before the validation, and begins a resumed training
    after it: the validation is not logged and brings no best checkpoint; resumed at its
    end, a training ends without any.

    A checkpoint that is written after the validation, as one is that follows a new best
    one, says so: that validation is not done again.

    It need not be named: it runs in every training.
    """

    # When all that is resumed is there, and all other hooks are ready.
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._training = False

    def before_train(self, runner: Runner) -> None:
        """Validate, if a training is resumed where that was due."""
        loop = runner.train_loop
        self._training = isinstance(loop, EpochBasedTrainLoop | IterBasedTrainLoop)
        if self._training and self._is_due(runner):
            runner.logger.info('The validation that follows the checkpoint is done first')
            # As at the end of an iteration and an epoch.
            runner.message_hub.update_info('iter', runner.iter - 1)
            if isinstance(loop, EpochBasedTrainLoop):
                runner.message_hub.update_info('epoch', runner.epoch - 1)
            runner.val_loop.run()

    def before_val(self, runner: Runner) -> None:
        """Note it, before a checkpoint follows that should say so."""
        if self._training:
            runner.message_hub.update_info(_LAST, _step(runner))

    def _is_due(self, runner: Runner) -> bool:
        loop, step = runner.train_loop, _step(runner)
        if runner.val_loop is None or runner.message_hub.get_info(_LAST) == step:
            return False
        by_epoch = isinstance(loop, EpochBasedTrainLoop)
        last = loop.max_epochs if by_epoch else loop.max_iters
        loop._decide_current_val_interval()
        divides = step % loop.val_interval == 0
        return step >= max(1, loop.val_begin) and (divides or step == last)


def _step(runner: Runner) -> int:
    """Give the epochs or iterations so far, what the training loop counts."""
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    return runner.epoch if by_epoch else runner.iter
