"""MMEngine's checkpoints, written so that neither a kill nor a full disk loses one."""

import os
import re
from collections import deque
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...checkpoints.files import remove_unfinished
from ...checkpoints.whole_file_backend import WHOLE_FILES, WholeFileBackend


@HOOKS.register_module()
class WholeCheckpointHook(CheckpointHook):
    """Write each checkpoint as a whole, and only then remove an older one.

    MMEngine writes into the place of the old file; and it removes what is to go, the best
    checkpoint too, before it writes what comes instead.

    The arguments are those of MMEngine's, which becomes this one in every training.
    Files on a local disk are moved into their place when they are on the disk; elsewhere
    (``out_dir='s3://...'``) they are written as MMEngine does. What ``published_keys``
    asks for after the training is too.

    Raises:
        CheckpointError: If a file cannot be written; the earlier ones are all there.
    """

    def before_train(self, runner: Runner) -> None:
        """Find out where to write; clear away what a killed training had begun there."""
        super().before_train(runner)
        if isinstance(self.file_backend, LocalBackend):
            self.backend_args = dict(backend=WHOLE_FILES)
            self.file_backend = WholeFileBackend()
            if is_main_process():
                name = os.path.splitext(self.filename_tmpl.format(0))[0]
                for stem in (re.sub(r'\d+', '*', name), 'best_*'):
                    remove_unfinished(self.out_dir, stem)
                remove_unfinished(runner.work_dir, 'last_checkpoint')
        self.file_backend = _LateRemovals(self.file_backend)
        last = runner.message_hub.get_info('last_ckpt')
        if runner.iter and last:
            # Else the first best one would not be entered into the last checkpoint.
            self.last_ckpt = self._here(last)
        self._find_best(runner)

    def _here(self, path: str) -> str | None:
        """Give the file of this name in this folder; None if there is none."""
        here = self.file_backend.join_path(self.out_dir, os.path.basename(path))
        return here if self.file_backend.isfile(here) else None

    def _find_best(self, runner: Runner) -> None:
        """Take this folder's best files, where another's was copied, not the other's."""
        hub = runner.message_hub
        for key, path in [*hub.runtime_info.items()]:
            if key.startswith('best_ckpt') and path:
                hub.update_info(key, self._here(path))
        if self.save_best is None:
            return
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = hub.runtime_info.get('best_ckpt')
            return
        for key in self.key_indicators:
            self.best_ckpt_path_dict[key] = hub.runtime_info.get(f'best_ckpt_{key}')

    def _publish_model(self, runner: Runner, ckpt_path: str | None) -> None:
        if ckpt_path is not None:  # the best one is in the folder that was resumed from
            super()._publish_model(runner, ckpt_path)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        # A validation without a training saves nothing; MMEngine's would fail (0.10.7).
        if not hasattr(self, 'file_backend'):
            return
        super()._save_best_checkpoint(runner, metrics)
        if self.save_best:
            self._remove_old()

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        # The new best ones are written. Killed from here on, what this writes is resumed.
        self._remove_old()
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        kept = []
        if self.max_keep_ckpts > 0:
            kept = [*self.keep_ckpt_ids]
            if kept[-1:] != [step]:
                kept.append(step)
            # With one too many: resumed before that is removed, MMEngine removes it.
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            path = os.path.join(runner.work_dir, 'last_checkpoint')
            WholeFileBackend().put_text(self.last_ckpt, path)
        if self.max_keep_ckpts > 0:
            for old in kept[: -self.max_keep_ckpts]:
                old_name = self.filename_tmpl.format(old)
                self.file_backend.remove(
                    self.file_backend.join_path(self.out_dir, old_name)
                )
            self.keep_ckpt_ids = deque(kept, self.max_keep_ckpts)
            runner.message_hub.update_info('keep_ckpt_ids', [*self.keep_ckpt_ids])
            self._remove_old()

    def _remove_old(self) -> None:
        """Remove what was to go, but for what was written under the same name."""
        best = {*getattr(self, 'best_ckpt_path_dict', {}).values()}
        best.add(getattr(self, 'best_ckpt_path', None))
        if is_main_process():
            self.file_backend.remove_noted(best)


class _LateRemovals:
    """A file backend that notes what is to be removed, until it is told to do it."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._noted: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self._noted.append(path)

    def remove_noted(self, but: set[str | None]) -> None:
        for path in self._noted:
            if path in but:
                continue
            if self._backend.isfile(path):
                self._backend.remove(path)
        self._noted.clear()
