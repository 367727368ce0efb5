"""Lets no two trainings write into one work folder."""

from contextlib import ExitStack

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...checked_arguments import checked_arguments
from ...folder_lock import FolderInUse, folder_lock


@HOOKS.register_module()
@checked_arguments
class WorkDirLockHook(Hook):
    """Refuse a training whose work folder another one writes into.

    They would remove and resume one another's checkpoints. The lock of a process that is
    dead does not count; a test in the folder does not need it.

    It need not be named: it runs in every training.

    Raises:
        FolderInUse: In each process, if another training has the folder; it names that.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._lock = ExitStack()

    def before_train(self, runner: Runner) -> None:
        """Take the lock, in the first process."""
        problem = [None]
        if is_main_process():
            try:
                self._lock.enter_context(folder_lock(runner.work_dir))
            except FolderInUse as error:
                problem = [str(error)]
        broadcast_object_list(problem)
        if problem[0]:
            raise FolderInUse(problem[0])

    def after_train(self, runner: Runner) -> None:
        """Give it back."""
        self._lock.close()
