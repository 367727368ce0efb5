from pathlib import Path

from machine import cpu_name, device_name


def test_cpu_name_is_the_kernels():
    info = Path('/proc/cpuinfo')
    if info.is_file() and 'model name' in info.read_text():
        assert f': {cpu_name()}\n' in info.read_text()
    assert cpu_name()


def test_device_name_without_a_gpu(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    assert device_name() == cpu_name()
