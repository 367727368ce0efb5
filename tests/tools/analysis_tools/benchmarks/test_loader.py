import pickle
from importlib.util import find_spec

import pytest
import torch

from benchmarks import loader, memory
from paths import ROOT

PACKED = [f', {what} at {edge}' for what in ('packed', 'pixels') for edge in (400, 256)]
CONFIG = ROOT / 'configs/dhm/resnet18_dhm_8xb32_in1k.py'


@pytest.mark.one_stack
def test_rows_of_images_in_files(monkeypatch):
    measured = []

    def taken(make):
        measured.append(pickle.loads(pickle.dumps(make)))
        return memory.Memory([1.0, 3.0, 2.0])

    monkeypatch.setattr(loader, 'JPEGS', 6)
    monkeypatch.setattr(loader, 'FEW_JPEGS', 2)
    threads = []  # set here only
    monkeypatch.setattr(torch, 'set_num_threads', threads.append)
    monkeypatch.setattr(memory, 'measure', taken)
    rows = loader.measure(CONFIG, repeats=2)
    device = 'GPU' if torch.cuda.is_available() else 'CPU'
    assert threads == [1]
    names = ['torchvision', 'MMPretrain, OpenCV', 'ours']
    names += [f'ours{images}' for images in PACKED]
    if find_spec('nvidia') and find_spec('nvidia.dali'):
        names += [f'DALI {device}{images}' for images in ('', *PACKED)]
    assert {row['images of'] for row in rows} == set(names)
    assert rows[0]['images of'] == 'torchvision'
    assert len(measured) == len(names)
    assert all(row['torchvision / this'].median > 0 for row in rows)
    assert all(row['memory, MiB'] == 3 for row in rows)
