"""What the tests of the command lines share."""

import runpy
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import warm_start
from paths import ROOT, free_port


@pytest.fixture(scope='session')
def run(tool_env):
    """Run a command line as a user would: what it prints, and its exit code."""

    def run_command(*command, code=0, cwd=None, env=None):
        process = subprocess.run(
            [str(part) for part in command],
            cwd=cwd or ROOT,
            # No GPU: what the CPU computes is compared, and one GPU is not two.
            env={**tool_env, 'CUDA_VISIBLE_DEVICES': '', **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert process.returncode == code, process.stdout[-4000:]
        return process.stdout

    return run_command


@pytest.fixture(scope='session')
def python(tool_env):
    """Run a script with this Python: what it prints, in a process of its own."""

    def run_script(script, *arguments, code=0, cwd=None, env=None):
        end, output = warm_start.run_script(
            str(script),
            [str(part) for part in arguments],
            cwd=str(cwd or ROOT),
            env={**tool_env, 'CUDA_VISIBLE_DEVICES': '', **(env or {})},
            timeout=300,
        )
        assert end == code, output[-4000:]
        return output

    return run_script


@pytest.fixture(scope='session')
def two_processes(tool_env):
    """Run a script in two processes that find each other, as torchrun starts them."""

    def run_script(script, *arguments, env):
        both = dict(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port())
        ended = warm_start.run_scripts(
            str(script),
            [*map(str, arguments), '--launcher', 'pytorch'],
            cwd=str(ROOT),
            envs=[
                {**tool_env, 'CUDA_VISIBLE_DEVICES': '', **env, **both}
                | dict(RANK=str(rank), LOCAL_RANK=str(rank))
                for rank in range(2)
            ],
            timeout=300,
        )
        assert [code for code, _ in ended] == [0, 0], ended[0][1][-4000:]
        return ended[0][1] + ended[1][1]

    return run_script


@pytest.fixture
def inline(monkeypatch, capsys):
    """Run a script in this process; most of the time of a short one is its start."""

    def run_script(script, *arguments, code=0):
        monkeypatch.setattr(sys, 'argv', [str(part) for part in (script, *arguments)])
        capsys.readouterr()
        end = None
        try:
            runpy.run_path(str(script), run_name='__main__')
        except SystemExit as error:
            end = error.code
        output = ''.join(capsys.readouterr())
        if isinstance(end, str):  # Python prints it, and exits with 1
            output, end = f'{output}{end}\n', 1
        assert (end or 0) == code, output
        return output

    return run_script


@pytest.fixture(scope='session')
def imagenet(tmp_path_factory):
    """A folder like ImageNet's: a few JPEGs, one of them truncated, and lists."""
    root = tmp_path_factory.mktemp('imagenet')
    rng = np.random.default_rng(0)
    for split, number in (('train', 12), ('val', 6)):
        lines = []
        for i in range(number):
            path = root / split / f'class{i % 3}' / f'{i}.jpg'
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
            lines.append(f'class{i % 3}/{i}.jpg {i % 3}\n')
        (root / 'meta').mkdir(exist_ok=True)
        (root / 'meta' / f'{split}.txt').write_text(''.join(lines))
    broken = root / 'train' / 'class0' / '0.jpg'
    broken.write_bytes(broken.read_bytes()[:500])
    return root


@pytest.fixture(scope='session')
def small():
    """The options that cut an ImageNet config to a few iterations of small images."""

    def options(data_root, *more):
        loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
        return [
            '--cfg-options',
            *(f'{loader}.dataset.data_root={data_root}' for loader in loaders),
            *(f'{loader}.num_workers=2' for loader in loaders),
            *(f'{loader}.batch_size=4' for loader in loaders),
            'train_dataloader.dataset.pipeline.0.scale=64',
            'default_hooks.logger.interval=1',
            *more,
        ]

    return options
