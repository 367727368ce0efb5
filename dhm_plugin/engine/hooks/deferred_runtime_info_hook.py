"""MMEngine's runtime information, without a wait for the GPU at every iteration."""

import torch
from mmengine.hooks import RuntimeInfoHook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...checked_arguments import checked_arguments
from ..utils import log_is_due

# Iterations whose losses are kept at most, where there are no lines of the log.
_KEPT = 1000


@HOOKS.register_module()
@checked_arguments
class DeferredRuntimeInfoHook(RuntimeInfoHook):
    """Leave the losses on their device until a line of the log is due.

    MMEngine's hook fetches every loss of every iteration on its own, and each fetch waits
    until the GPU has computed it. This one fetches those of all iterations since the last
    line of the log at once. The log is the same.

    Set it as ``default_hooks = dict(runtime_info=dict(type='DeferredRuntimeInfoHook'))``.
    """

    def __init__(self) -> None:
        self._pending: list[dict] = []

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Keep the losses, and hand all kept ones over if a line of the log is due."""
        if outputs is not None:
            # Without their graphs, which would be kept along.
            self._pending.append(
                {
                    key: value.detach() if isinstance(value, torch.Tensor) else value
                    for key, value in outputs.items()
                }
            )
        if (
            len(self._pending) == _KEPT
            or self.end_of_epoch(runner.train_dataloader, batch_idx)
            or log_is_due(runner, batch_idx)
        ):
            self._hand_over(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Let the history in a checkpoint be complete."""
        self._hand_over(runner)
        hub = runner.message_hub.state_dict()
        # The rest is as other hooks have made it, such as ResumeHook.
        for key in ('log_scalars', 'resumed_keys'):
            checkpoint['message_hub'][key] = hub[key]

    def _hand_over(self, runner: Runner) -> None:
        pending, self._pending = self._pending, []
        tensors = [
            value.reshape(())
            for outputs in pending
            for value in outputs.values()
            if isinstance(value, torch.Tensor)
        ]
        fetched = iter(torch.stack(tensors).tolist() if tensors else ())
        for outputs in pending:
            for key, value in outputs.items():
                number = next(fetched) if isinstance(value, torch.Tensor) else value
                runner.message_hub.update_scalar(f'train/{key}', number)
