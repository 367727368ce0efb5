import logging
import os
import shutil

import pytest
import torch

import tiny
from dhm_plugin.checkpoints.latest import latest_whole


@pytest.fixture
def folder(tmp_path):
    """Five checkpoints, the last one of the epochs being the last one."""
    folder = tmp_path / 'folder'
    folder.mkdir()
    names = ('iter_7', 'epoch_8', 'epoch_9', 'epoch_10', 'best_accuracy_top1_epoch_9')
    for time, name in enumerate(names):
        path = folder / f'{name}.pth'
        torch.save({'state_dict': {'x': torch.arange(99.0)}}, path)
        os.utime(path, (time, time))
    (folder / 'last_checkpoint').write_text(str(folder / 'epoch_10.pth'))
    return folder


def damage(path, how):
    data = bytearray(path.read_bytes())
    if how == 'cut':
        del data[len(data) // 2 :]
    elif how == 'empty':
        data.clear()
    elif how == 'a bit':
        data[data.index(torch.arange(99.0).numpy().tobytes()) + 9] ^= 1
    path.write_bytes(data)
    os.utime(path, (99, 99))


@pytest.fixture
def said(monkeypatch):
    """What is printed, line by line; that there is none is no warning."""
    lines = []

    def print_log(text, logger, level=logging.INFO):
        assert logger == 'current'
        assert (level == logging.INFO) == text.endswith('no checkpoint to resume from')
        lines.append(text)

    monkeypatch.setattr('dhm_plugin.checkpoints.latest.print_log', print_log)
    return lines


def test_the_last_one_that_is_whole(folder, said):
    assert latest_whole(folder) == str(folder / 'epoch_10.pth')
    # Resumed from an earlier one on purpose, it goes on from there.
    (folder / 'last_checkpoint').write_text(str(folder / 'epoch_8.pth'))
    assert latest_whole(str(folder)) == str(folder / 'epoch_8.pth')
    (folder / 'last_checkpoint').write_text('s3://bucket/epoch_8.pth')
    assert latest_whole(folder) == 's3://bucket/epoch_8.pth'
    assert not said


def test_in_a_folder_that_was_copied(folder, tmp_path, said):
    copy = tmp_path / 'copy'
    shutil.copytree(folder, copy)
    assert latest_whole(copy) == str(copy / 'epoch_10.pth')
    shutil.rmtree(folder)
    assert latest_whole(copy) == str(copy / 'epoch_10.pth')
    assert not said


def test_in_another_folder(folder, tmp_path, said):
    out = tmp_path / 'out'
    folder.rename(out)
    folder.mkdir()
    (out / 'last_checkpoint').unlink()
    (folder / 'last_checkpoint').write_text(str(out / 'epoch_10.pth'))
    # Of a training that had no out_dir.
    shutil.copy(out / 'epoch_8.pth', folder / 'epoch_10.pth')
    os.utime(folder / 'epoch_10.pth', (0, 0))
    assert latest_whole(folder) == str(out / 'epoch_10.pth')
    assert not said
    damage(out / 'epoch_10.pth', 'cut')
    assert latest_whole(folder) == str(out / 'epoch_9.pth')
    assert len(said) == 1


def test_another_process_is_told(folder, monkeypatch):
    module = 'dhm_plugin.checkpoints.latest.'
    monkeypatch.setattr(f'{module}is_main_process', lambda: False)

    def told(found):
        assert found == [None]
        found[0] = 'of the first'

    monkeypatch.setattr(f'{module}broadcast_object_list', told)
    assert latest_whole(folder) == 'of the first'


def test_other_files_are_no_checkpoints_of_the_training(folder, said):
    other = folder / 'epoch_10_old.pth'
    torch.save({'state_dict': {'x': torch.ones(1)}}, other)
    (folder / 'last_checkpoint').unlink()
    assert latest_whole(folder) == str(folder / 'epoch_10.pth')
    (folder / 'last_checkpoint').write_text(f'{folder / "epoch_9.pth"}\n')
    assert latest_whole(folder) == str(folder / 'epoch_9.pth')


def test_an_empty_pointer_alone(tmp_path, said):
    (tmp_path / 'last_checkpoint').touch()
    assert latest_whole(tmp_path) is None
    (line,) = said
    assert 'last_checkpoint is empty. No other checkpoint is whole' in line


def test_of_another_name(folder, said):
    """CheckpointHook's ``filename_tmpl``."""
    for epoch in (8, 9, 10):
        (folder / f'epoch_{epoch}.pth').rename(folder / f'ckpt-{epoch}.pt')
    (folder / 'last_checkpoint').write_text(str(folder / 'ckpt-11.pt'))
    (folder / 'iter_7.pth').unlink()
    assert latest_whole(folder) == str(folder / 'ckpt-10.pt')
    assert len(said) == 1


@pytest.mark.parametrize(
    ('how', 'what'),
    [
        ('cut', 'is truncated or damaged'),
        ('a bit', 'is truncated or damaged'),
        ('empty', 'is no checkpoint'),
    ],
)
def test_a_damaged_one_is_passed_over(how, what, folder, said):
    damage(folder / 'epoch_10.pth', how)
    damage(folder / 'epoch_9.pth', how)
    assert latest_whole(folder) == str(folder / 'epoch_8.pth')
    assert said == [
        f'{folder}/last_checkpoint names {folder}/epoch_10.pth, which {what}. Resuming '
        f'from {folder}/epoch_8.pth, the newest checkpoint that is whole'
    ]


@pytest.mark.parametrize(
    ('text', 'what'),
    [
        ('', 'is empty'),
        (None, 'is missing'),
        ('/gone/epoch_11.pth', 'names /gone/epoch_11.pth, which is missing'),
        ('\0' * 40, 'is empty'),  # a power cut leaves such files
        ('a\0b', 'names ab, which is missing'),
        ('\xff', 'names \N{REPLACEMENT CHARACTER}, which is missing'),
        ('x' * 300, f'names {"x" * 300}, which cannot be read ([Errno 36] File name too'),
        ('x' * 300 + '/y', f'names {"x" * 300}/y, which cannot be read ([Errno 36] File'),
    ],
    ids=[
        'empty',
        'missing',
        'gone',
        'zeros',
        'a zero',
        'no UTF-8',
        'too long',
        'too long a folder',
    ],
)
def test_nobody_says_which_one_is_the_last(text, what, folder, said):
    if text is None:
        (folder / 'last_checkpoint').unlink()
    else:
        (folder / 'last_checkpoint').write_bytes(text.encode('latin-1'))
    assert latest_whole(folder) == str(folder / 'epoch_10.pth')
    (line,) = said
    assert line.startswith(f'{folder}/last_checkpoint {what}')
    assert f'. Resuming from {folder}/epoch_10.pth' in line


def test_a_link_that_leads_nowhere(folder, said):
    (folder / 'epoch_7.pth').symlink_to(folder / 'moved/epoch_7.pth')
    assert latest_whole(folder) == str(folder / 'epoch_10.pth')
    assert not said


def test_with_names_of_another_pattern(folder, said):
    for number in (8, 9, 10):
        os.rename(folder / f'epoch_{number}.pth', folder / f'e{number}+.pth')
    (folder / 'last_checkpoint').write_text(str(folder / 'e10+.pth'))
    damage(folder / 'e10+.pth', 'cut')
    assert latest_whole(folder) == str(folder / 'e9+.pth')
    assert len(said) == 1


def test_nothing_is_left(folder, said):
    for path in folder.glob('*_*.pth'):
        damage(path, 'cut')
    assert latest_whole(folder) is None
    assert said.pop().endswith(
        'is truncated or damaged. No other checkpoint is whole: the training begins anew'
    )
    shutil.rmtree(folder)
    assert latest_whole(folder) is None
    assert said == [f'{folder} has no checkpoint to resume from']


@pytest.mark.parametrize('text', ['', '/gone/epoch_9.pth'])
def test_a_training_is_resumed_from_it(text, tmp_path):
    tiny.runner(tmp_path, 2, checkpoint=dict(max_keep_ckpts=2)).train()
    (tmp_path / 'last_checkpoint').write_text(text)
    damage(tmp_path / 'epoch_2.pth', 'cut')
    runner = tiny.runner(tmp_path, 2, resume=True)
    runner.load_or_resume()
    assert runner.epoch == 1
    damage(tmp_path / 'epoch_1.pth', 'cut')
    runner = tiny.runner(tmp_path, 2, resume=True)
    runner.load_or_resume()
    assert runner.epoch == 0
