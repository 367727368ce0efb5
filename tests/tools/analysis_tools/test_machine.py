import os
from pathlib import Path

from machine import cores, cpu_name, device_name


def test_cpu_name_is_the_kernels():
    info = Path('/proc/cpuinfo')
    if info.is_file() and 'model name' in info.read_text():
        assert f': {cpu_name()}\n' in info.read_text()
    assert cpu_name()


def test_counts_cores_where_affinity_is_unknown(monkeypatch):
    """Seen: no attribute 'sched_getaffinity', as on macOS."""
    monkeypatch.delattr(os, 'sched_getaffinity', raising=False)
    assert cores() == os.cpu_count()


def test_device_name_without_a_gpu(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    assert device_name() == cpu_name()
