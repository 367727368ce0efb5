from types import SimpleNamespace

import pytest
import torch

import warm_start
from dhm_plugin import WorkDirLockHook
from dhm_plugin.folder_lock import FolderInUse
from locks import process_in


def _process(rank, folder, other):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/group', rank=rank, world_size=2
    )
    with pytest.raises(FolderInUse, match=f'in use by process {other} on'):
        WorkDirLockHook().before_train(SimpleNamespace(work_dir=str(folder / 'work')))
    torch.distributed.destroy_process_group()


def test_all_processes_are_refused(tmp_path):
    with process_in(tmp_path / 'work') as other:
        processes = [
            warm_start.start(_process, rank, tmp_path, other) for rank in range(2)
        ]
        for process in processes:
            process.join(100)
        assert [process.exitcode for process in processes] == [0, 0]
