import errno
import os
import pickle
import stat
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from dhm_plugin.checkpoints import (
    CheckpointError,
    convert_file,
    read_state_dict,
    remove_unfinished,
    save,
    write_checkpoint,
    written_at_once,
)
from dhm_plugin.checkpoints.meta import read_meta
from hostile import Hostile
from paths import full_disk

WEIGHTS = {'a.weight': torch.ones(2), 'b.bias': torch.zeros(1)}


@pytest.mark.parametrize(
    'content',
    [
        WEIGHTS,
        {f'module.{key}': value for key, value in WEIGHTS.items()},
        dict(state_dict=WEIGHTS, epoch=3),
        dict(state_dict={f'module.{k}': v for k, v in WEIGHTS.items()}, epoch=3),
    ],
)
@pytest.mark.parametrize('zipfile', [True, False])
def test_reads(content, zipfile, tmp_path):
    torch.save(content, tmp_path / 'x.pth', _use_new_zipfile_serialization=zipfile)
    weights, others = read_state_dict(tmp_path / 'x.pth')
    assert list(weights) == list(WEIGHTS)
    assert all(torch.equal(weights[key], WEIGHTS[key]) for key in WEIGHTS)
    assert others == ({'epoch': 3} if 'epoch' in content else {})


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([1, 2], 'holds a list; it must hold a state dict'),
        ({}, 'empty'),
        (dict(state_dict={}), 'empty'),
        (dict(epoch=3), "under 'epoch' it holds a int, where a tensor must be"),
        (dict(state_dict=[1]), 'its state dict is empty or no dict'),
        (dict(state_dict={'a': Hostile()}), 'refused.*would run code.*print'),
    ],
)
def test_refuses_content(content, message, tmp_path, capfd):
    torch.save(content, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match=f'x.pth: .*{message}') as error:
        read_state_dict(tmp_path / 'x.pth')
    assert 'hostile' not in capfd.readouterr().out
    # PyTorch's own message goes on with how to load it nevertheless.
    assert 'weights_only' not in str(error.value)
    assert '\n' not in str(error.value)


def corrupt(path, how):
    data = path.read_bytes()
    if how == 'truncated':
        data = data[: len(data) // 2]
    elif how == 'empty':
        data = b''
    elif how == 'text':
        data = b'no checkpoint'
    elif how == 'pickle':
        data = pickle.dumps(Hostile())
    path.write_bytes(data)


@pytest.mark.parametrize('how', ['truncated', 'empty', 'text', 'pickle'])
@pytest.mark.parametrize('zipfile', [True, False])
def test_refuses_damaged_files(how, zipfile, tmp_path, capfd):
    path = tmp_path / 'x.pth'
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=zipfile)
    corrupt(path, how)
    with pytest.raises(
        CheckpointError, match=r'x.pth: (refused|cannot|is trunc)'
    ) as error:
        read_state_dict(path)
    assert 'hostile' not in capfd.readouterr().out
    assert 'weights_only' not in str(error.value)


@pytest.mark.parametrize('zipfile', [True, False])
def test_refuses_a_file_cut_anywhere(zipfile, tmp_path):
    path = tmp_path / 'x.pth'
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=zipfile)
    data = path.read_bytes()
    for length in range(0, len(data) - 1, 1 + len(data) // 300):
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match=r'x.pth: (refused|cannot|is trunc)'):
            read_state_dict(path)


def test_refuses_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(CheckpointError, match='no such file'):
        read_state_dict(tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match='cannot be read'):
        read_state_dict(tmp_path)


def test_writes_into_a_new_folder_with_usual_rights(tmp_path):
    path = tmp_path / 'new' / 'x.pth'
    write_checkpoint(dict(state_dict=WEIGHTS), path)
    weights, _ = read_state_dict(path)
    assert list(weights) == list(WEIGHTS)
    assert os.listdir(path.parent) == ['x.pth']
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_an_old_file_keeps_its_mode_and_a_link_its_place(tmp_path):
    path, link = tmp_path / 'x.pth', tmp_path / 'latest.pth'
    path.write_text('old')
    path.chmod(0o400)
    link.symlink_to('x.pth')
    with written_at_once(link) as temporary:
        # Until it is written, whatever the old one's mode.
        assert temporary.stat().st_mode & stat.S_IWUSR
        save(dict(state_dict=WEIGHTS), temporary)
    assert link.is_symlink()
    assert list(read_state_dict(path)[0]) == list(WEIGHTS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400


def test_a_link_that_leads_nowhere_is_replaced(tmp_path):
    for one, other in ('ab', 'ba'):
        (tmp_path / f'{one}.pth').symlink_to(f'{other}.pth')
    write_checkpoint(dict(state_dict=WEIGHTS), tmp_path / 'a.pth')
    assert list(read_state_dict(tmp_path / 'b.pth')[0]) == list(WEIGHTS)


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_a_full_disk_leaves_the_old_file_and_no_new_one(tmp_path, suffix):
    path = tmp_path / f'x{suffix}'
    path.write_text('old')

    with (
        full_disk(),
        pytest.raises(CheckpointError, match=rf'x{suffix}: cannot be written: '),
    ):
        write_checkpoint(dict(state_dict=dict(a=torch.ones(100_000))), path)
    assert os.listdir(tmp_path) == [path.name]
    assert path.read_text() == 'old'


def test_it_is_on_the_disk_before_it_is_in_its_place(tmp_path, monkeypatch):
    """A power cut leaves the old file or the new one."""
    done = []

    def fsync(handle):
        done.append(os.readlink(f'/proc/self/fd/{handle}'))
        assert path.read_text() == ('new' if len(done) == 2 else 'old')

    monkeypatch.setattr(os, 'fsync', fsync)
    path = tmp_path / 'x.pth'
    path.write_text('old')
    with written_at_once(path) as temporary:
        temporary.write_text('new')
    assert done == [str(temporary), str(tmp_path)]


def no_folder_is_flushed(monkeypatch, number):
    fsync = os.fsync

    def fsync_of_files(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(handle)

    monkeypatch.setattr(os, 'fsync', fsync_of_files)


@pytest.mark.parametrize('number', [errno.EINVAL, errno.EACCES])
def test_a_file_system_that_cannot_flush_folders(number, tmp_path, monkeypatch):
    """As some of networks: the names are there all the same."""
    no_folder_is_flushed(monkeypatch, number)
    handles = len(os.listdir('/proc/self/fd'))
    write_checkpoint(dict(state_dict=WEIGHTS), tmp_path / 'x.pth')
    assert os.listdir(tmp_path) == ['x.pth']
    assert len(os.listdir('/proc/self/fd')) == handles


def test_a_disk_that_fails_to_flush_a_folder(tmp_path, monkeypatch):
    no_folder_is_flushed(monkeypatch, errno.EIO)
    with pytest.raises(CheckpointError, match=r'x\.pth: cannot be written'):
        write_checkpoint(dict(state_dict=WEIGHTS), tmp_path / 'x.pth')


def test_what_a_killed_process_had_begun_is_removed(tmp_path):
    with written_at_once(tmp_path / 'epoch_1.pth') as temporary:
        begun = temporary.with_name(temporary.name.replace('epoch_1', 'epoch_2'))
        begun.touch()
        other = temporary.with_name(temporary.name.replace('epoch_1', 'other'))
        other.touch()
    (tmp_path / '.epoch_3.pth').touch()
    remove_unfinished(tmp_path, 'epoch_*')
    left = {'epoch_1.pth', '.epoch_3.pth', other.name}
    assert {*os.listdir(tmp_path)} == left


def test_an_interruption_leaves_no_file(tmp_path, monkeypatch):
    def interrupted(content, file):
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, 'save', interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(dict(state_dict=WEIGHTS), tmp_path / 'x.pth')
    assert os.listdir(tmp_path) == []


def test_a_file_is_not_converted_in_place(tmp_path):
    torch.save(WEIGHTS, tmp_path / 'x.pth')
    (tmp_path / 'link.pth').symlink_to(tmp_path / 'x.pth')
    for dst in ('x.pth', 'link.pth'):
        with pytest.raises(CheckpointError, match='is what is read'):
            convert_file(tmp_path / 'x.pth', tmp_path / dst, lambda *_: {})
    weights, _ = read_state_dict(tmp_path / 'x.pth')
    assert list(weights) == list(WEIGHTS)


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(CheckpointError, match='cannot be written'):
        write_checkpoint(dict(state_dict=WEIGHTS), tmp_path / 'file' / 'x.pth')


def test_a_folder_is_no_file(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r'^\.: is a folder; name a file in it'):
        write_checkpoint(dict(state_dict=WEIGHTS), '.')


@pytest.mark.skipif(not os.path.isdir('/proc/self'), reason='there is no /proc')
def test_a_folder_that_nobody_may_write_to():
    with pytest.raises(CheckpointError, match=r'/proc/x.pth: cannot be written: '):
        write_checkpoint(dict(state_dict=WEIGHTS), '/proc/x.pth')


def test_safetensors_where_the_suffix_says_so(tmp_path):
    path = tmp_path / 'x.safetensors'
    write_checkpoint(dict(meta={}, state_dict=WEIGHTS), path)
    assert all(load_file(path)[key].equal(value) for key, value in WEIGHTS.items())
    tied = torch.arange(6.0).view(2, 3)
    both = {'a': tied, 'b': tied.t()}
    write_checkpoint(both, tmp_path / 'tied.safetensors')
    for key, value in load_file(tmp_path / 'tied.safetensors').items():
        assert torch.equal(value, both[key])
    weights, others = read_state_dict(path)
    assert set(weights) == set(WEIGHTS)
    assert others == {}
    # The very same tensor under two names; and a weight that is called so.
    write_checkpoint({'a': tied, 'meta': tied}, path)
    assert set(read_state_dict(path)[0]) == {'a', 'meta'}
    with safe_open(path, framework='pt') as file:
        assert file.metadata() == {'format': 'pt'}
    # Written by others.
    save_file(WEIGHTS, path)
    assert set(read_state_dict(path)[0]) == set(WEIGHTS)


def test_without_the_package(tmp_path, monkeypatch):
    save_file(WEIGHTS, tmp_path / 'x.safetensors')
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    with pytest.raises(ImportError):
        read_state_dict(tmp_path / 'x.safetensors')


def test_a_prefix_of_some_keys_stays(tmp_path):
    some = {'module.a': torch.ones(1), 'other.weight': torch.ones(1)}
    torch.save(some, tmp_path / 'x.pth')
    assert list(read_state_dict(tmp_path / 'x.pth')[0]) == list(some)


def test_names_what_cannot_be_converted(tmp_path):
    torch.save(WEIGHTS, tmp_path / 'x.pth')

    def convert(*_):
        raise CheckpointError('why')

    with pytest.raises(CheckpointError, match=r'x\.pth: why'):
        convert_file(tmp_path / 'x.pth', tmp_path / 'y.pth', convert)
    assert os.listdir(tmp_path) == ['x.pth']


def test_safetensors_keep_what_is_said_of_the_weights(tmp_path):
    path = tmp_path / 'x.safetensors'
    meta = dict(dataset_meta=dict(classes=('rose', 'tulip')), epoch=3)
    write_checkpoint(dict(meta=meta, optimizer={}, state_dict=WEIGHTS), path)
    weights, others = read_state_dict(path)
    assert set(weights) == set(WEIGHTS)
    kept = dict(dataset_meta=dict(classes=['rose', 'tulip']), epoch=3)
    assert others == dict(meta=kept)
    # Through MMEngine's loader, as of get_model and the inferencers.
    assert read_meta(path) == kept
    before = path.read_bytes()
    odd = dict(meta=dict(dataset_meta=torch.ones(2)), state_dict=WEIGHTS)
    with pytest.raises(CheckpointError, match='its meta does not fit in safetensors'):
        write_checkpoint(odd, path)
    assert path.read_bytes() == before
    save_file(WEIGHTS, path, metadata=dict(meta='[1]'))
    with pytest.raises(CheckpointError, match='its meta is a list, where a dict must'):
        read_state_dict(path)
