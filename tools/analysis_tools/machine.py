"""What this machine is."""

import os
import platform
from pathlib import Path

import torch


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def device_name() -> str:
    """Name the GPU if there is one, the CPU otherwise."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else cpu_name()


def cpu_name() -> str:
    """Name the CPU."""
    info = Path('/proc/cpuinfo')
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith('model name'):
                return line.split(':')[1].strip()
    return platform.processor() or platform.machine()
