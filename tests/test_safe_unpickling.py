import pickle
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import load_checkpoint


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


class Reduced:
    """Unpickling it calls, and sets a state."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


OBJECT = Reduced(np.dtype, ('O', False, True))
RECONSTRUCT, SCALAR = (f.__reduce__()[0] for f in (np.ones(1), np.float64(1)))


def type_of_numbers(code='f8', parts=None, names=None, fields=None):
    state = (3, '<', parts, names, fields, 8, 8, 0)
    return Reduced(np.dtype, (code, False, True), state)


@pytest.mark.parametrize('container', ['array', 'scalar'])
@pytest.mark.parametrize(
    'kind',
    [
        type_of_numbers(names=('a',), fields={'a': (OBJECT, 0)}),
        type_of_numbers(parts=(OBJECT, (1,))),
        OBJECT,
        type_of_numbers('O'),
        type_of_numbers('f8,O'),
        type_of_numbers(['O']),
    ],
)
def test_no_type_of_numbers_holds_objects(kind, container, tmp_path):
    """Of the file's bytes, pointers would be made."""
    if container == 'array':
        state = (1, (2,), kind, False, bytes(16))
        value = Reduced(RECONSTRUCT, (np.ndarray, (0,), b'b'), state)
    else:
        value = Reduced(SCALAR, (kind, bytes(8)))
    torch.save(dict(state_dict={}, value=value), tmp_path / 'hostile.pth')
    with pytest.raises(pickle.UnpicklingError, match='not a type of numbers'):
        load_checkpoint(torch.nn.Linear(2, 1), str(tmp_path / 'hostile.pth'))


@pytest.mark.parametrize('value', [np.arange(6.0).reshape(2, 3).T, np.array(3, '>i4')])
def test_a_loaded_array_is_saved_as_one_of_numpy(value, tmp_path):
    path = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict={}, value=value), path)
    for _ in range(2):
        loaded = load_checkpoint(torch.nn.Linear(2, 1), str(path))
        np.testing.assert_array_equal(loaded['value'], value)
        assert loaded['value'].dtype == pickle.loads(pickle.dumps(value)).dtype
        torch.save(loaded, path)
        assert b'dhm_plugin' not in path.read_bytes()
