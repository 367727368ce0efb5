import ast
import os
import pickle
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner import load_checkpoint

import dhm_plugin
from hostile import Hostile


class HostileGetattr:
    """Unpickling it would fetch an attribute that no log history needs."""

    def __init__(self, owner, name):
        self.owner, self.name = owner, name

    def __reduce__(self):
        return getattr, (self.owner, self.name)


def test_mmengine_loads_its_own_checkpoints(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    buffer = HistoryBuffer()
    buffer.update(0.5)
    content = dict(
        state_dict=dict(weight=torch.ones(1, 2), bias=torch.zeros(1)),
        message_hub=dict(log_scalars={'train/loss': buffer}),
        best_score=np.float64(97.5),
        seed=np.int64(3),
        others=[
            np.array([1], dtype) for dtype in ('f2', 'f4', 'i1', 'i4', 'u1', 'u8', '?')
        ],
    )
    torch.save(content, path)
    loaded = load_checkpoint(torch.nn.Linear(2, 1), str(path))
    assert loaded['message_hub']['log_scalars']['train/loss'].current() == 0.5
    assert loaded['best_score'] == 97.5
    assert loaded['seed'] == 3
    assert [array.item() for array in loaded['others']] == [1] * 7


@pytest.mark.parametrize('core', [b'numpy.core', b'numpy._core'])
def test_checkpoints_written_with_either_numpy(core, tmp_path):
    here, path = tmp_path / 'here.pth', tmp_path / 'there.pth'
    content = dict(state_dict={}, array=np.arange(3), score=np.float64(97.5))
    torch.save(content, here)
    with zipfile.ZipFile(here) as source, zipfile.ZipFile(path, 'w') as target:
        for name in source.namelist():
            data = source.read(name)
            # The protocol-2 opcode GLOBAL ends module and name with line feeds.
            for ours in (b'cnumpy._core.multiarray', b'cnumpy.core.multiarray'):
                data = data.replace(ours, b'c' + core + b'.multiarray')
            target.writestr(name, data)
    loaded = load_checkpoint(torch.nn.Linear(2, 1), str(path))
    assert loaded['array'].tolist() == [0, 1, 2]
    assert loaded['score'] == 97.5


def test_the_users_own_loading_is_left_alone(tmp_path, capfd):
    path = tmp_path / 'own.pth'
    torch.save(Hostile(), path)
    torch.load(path, weights_only=False)
    assert 'hostile code ran' in capfd.readouterr().out


def test_two_threads_load_safely_and_leave_the_environment(tmp_path, monkeypatch):
    """B begins while A loads, and reads when A has ended."""
    switch = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
    monkeypatch.delenv(switch, raising=False)
    monkeypatch.setenv('SET_BY_A_LOADER', '')
    began, other_began = threading.Event(), threading.Event()
    seen = []

    def load_from_local(filename, map_location):
        if filename.endswith('a.pth'):
            began.set()
            other_began.wait(0.3)  # in vain if it has to wait for this one
        else:
            other_began.set()
            a.join(0.3)
        seen.append(os.environ.get(switch))
        os.environ['SET_BY_A_LOADER'] = 'kept'

    loader = mmengine_checkpoint.CheckpointLoader
    monkeypatch.setitem(loader._schemes, '', load_from_local)
    a, b = (
        threading.Thread(target=loader.load_checkpoint, args=(f'/none/{name}.pth',))
        for name in 'ab'
    )
    a.start()
    began.wait()
    b.start()
    a.join()
    b.join()
    assert seen == ['1', '1']
    assert switch not in os.environ
    assert os.environ['SET_BY_A_LOADER'] == 'kept'


@pytest.mark.parametrize(
    ('owner', 'name'), [(HistoryBuffer, '__init__'), (np.dtype, 'newbyteorder')]
)
def test_getattr_reaches_nothing_but_the_methods_of_log_histories(owner, name, tmp_path):
    path = tmp_path / 'hostile.pth'
    torch.save(dict(state_dict=HostileGetattr(owner, name)), path)
    with pytest.raises(pickle.UnpicklingError, match=f'must not read {name}'):
        load_checkpoint(torch.nn.Linear(2, 1), str(path))


class HostileArray:
    """Unpickling it would make an object of any memory."""

    def __reduce__(self):
        return np.ndarray, ((1,), 'O', bytes(8))


def test_an_array_cannot_be_made_of_any_memory(tmp_path):
    path = tmp_path / 'hostile.pth'
    torch.save(dict(state_dict=HostileArray()), path)
    with pytest.raises(pickle.UnpicklingError, match=r'must not call numpy\.ndarray'):
        load_checkpoint(torch.nn.Linear(2, 1), str(path))


def foreign_changes(tree):
    """Give the assignments to attributes of what is imported from other packages."""
    foreign = {
        (alias.asname or alias.name).partition('.')[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, 'level', 0)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            owner = node.value
            while isinstance(owner, ast.Attribute):
                owner = owner.value
            if isinstance(owner, ast.Name) and owner.id in foreign:
                yield ast.unparse(node)


def test_nothing_else_changes_other_packages():
    folder = Path(dhm_plugin.__file__).parent
    changes = {
        path.relative_to(folder).as_posix(): sorted(foreign_changes(tree))
        for path in folder.rglob('*.py')
        for tree in [ast.parse(path.read_text())]
    }
    assert {path: found for path, found in changes.items() if found} == {
        'compat.py': [
            'ModelHub._register_mmpretrain_models',
            'Runner.build_train_loop',
            'Runner.register_hooks',
            'infer._load_checkpoint',
            'mmengine_checkpoint._safe_torch_load',
            'mmengine_checkpoint.load_url',
            'mmengine_runner.find_latest_checkpoint',
        ]
    }
