import os
import re
import socket
from unittest import mock

import pytest

import tiny
from dhm_plugin import folder_lock as module
from dhm_plugin.folder_lock import FolderInUse, folder_lock
from locks import process_in


def test_the_second_process_is_refused_and_names_the_first(tmp_path):
    folder = tmp_path / 'new'
    with process_in(folder, with_a_worker=True) as other:
        holder = f'process {other} on {re.escape(socket.gethostname())} since 20'
        for _ in range(2):
            with (
                pytest.raises(FolderInUse, match=f'^{folder}: in use by {holder}'),
                folder_lock(folder),
            ):
                pass
    with folder_lock(folder):
        assert f'process {os.getpid()} on ' in (folder / '.lock').read_text()


def may_lock(folder):
    """Try it in another process."""
    other = os.fork()
    if not other:
        try:
            folder_lock(folder).__enter__()
        except FolderInUse:
            os._exit(1)
        os._exit(0)
    return os.waitpid(other, 0)[1] == 0


def test_one_process_may_hold_it_twice(tmp_path):
    with folder_lock(tmp_path):
        with folder_lock(str(tmp_path / '.')):
            assert not may_lock(tmp_path)
        assert not may_lock(tmp_path)
    assert may_lock(tmp_path)


def test_by_another_path_it_is_the_same_folder(tmp_path):
    link = tmp_path / 'link'
    link.symlink_to(tmp_path)
    with folder_lock(tmp_path), folder_lock(link):
        assert not may_lock(tmp_path)


def test_names_no_earlier_holder(tmp_path):
    for _ in range(2):
        with folder_lock(tmp_path):
            (line,) = (tmp_path / '.lock').read_text().splitlines()
            assert line.startswith(f'process {os.getpid()} on ')


def test_whoever_holds_it_may_read_the_folder(tmp_path):
    with folder_lock(tmp_path):
        assert (tmp_path / '.lock').read_text()
        assert not may_lock(tmp_path)


def test_a_file_system_without_locks(tmp_path):
    with (
        mock.patch.object(module.fcntl, 'flock', side_effect=OSError(38, 'No locks')),
        pytest.warns(UserWarning, match='this file system has no locks'),
        folder_lock(tmp_path),
    ):
        pass


def test_two_trainings_in_one_folder(tmp_path):
    with process_in(tmp_path) as other:
        message = f'{tmp_path}: in use by process {other} on'
        with pytest.raises(FolderInUse, match=message):
            tiny.runner(tmp_path).train()
        assert not list(tmp_path.glob('*.pth'))
        # A validation is no training.
        tiny.runner(tmp_path, checkpoint=dict(save_best=None)).val()
    tiny.runner(tmp_path).train()
    assert may_lock(tmp_path)


def test_a_training_that_failed_in_this_process(tmp_path):
    class Fails(tiny.Tiny):
        def train_step(self, *args, **kwargs):
            raise ValueError('failed')

    runner = tiny.runner(tmp_path, model=Fails())
    with pytest.raises(ValueError, match='failed'):
        runner.train()
    assert not may_lock(tmp_path)
    tiny.runner(tmp_path, resume=True).train()
    assert (tmp_path / 'epoch_4.pth').is_file()
