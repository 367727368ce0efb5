from types import SimpleNamespace

import pytest

from dhm_plugin import WorkDirLockHook
from dhm_plugin.folder_lock import FolderInUse
from locks import process_in
from process_group import run_in_two


def _process(rank, folder, other):
    with pytest.raises(FolderInUse, match=f'in use by process {other} on'):
        WorkDirLockHook().before_train(SimpleNamespace(work_dir=str(folder / 'work')))


def test_all_processes_are_refused(tmp_path):
    with process_in(tmp_path / 'work') as other:
        run_in_two(_process, tmp_path, other)
