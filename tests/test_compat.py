import ast
import os
import threading
from pathlib import Path

import torch
from mmengine.runner import checkpoint as mmengine_checkpoint

import dhm_plugin
from hostile import Hostile


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
