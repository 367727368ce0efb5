"""The slurm scripts, with an ``srun`` that prints what it is given."""

import os

import pytest

from paths import ROOT


@pytest.fixture
def env(tmp_path):
    srun = tmp_path / 'bin' / 'srun'
    srun.parent.mkdir()
    srun.write_text('#!/usr/bin/env bash\necho "$PYTHONPATH"\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    # With CDPATH, cd prints where it goes.
    return dict(PATH=f'{srun.parent}:{os.environ["PATH"]}', CDPATH='.')


def options(gpus, gpus_per_node):
    return [
        *('-p', 'gpu', '--job-name=dhm', f'--gres=gpu:{gpus_per_node}'),
        *(f'--ntasks={gpus}', f'--ntasks-per-node={gpus_per_node}', '--cpus-per-task=5'),
        '--kill-on-bad-exit=1',
    ]


def test_train(env, run):
    script = 'tools/slurm_train.sh'
    output = run('bash', script, 'gpu', 'dhm', 'c.py', 'work', '--amp', env=env)
    path, *arguments = output.splitlines()
    assert path.startswith(f'{ROOT}/tools/..')
    assert arguments == [
        *options(8, 8),
        *('python', '-u', f'{ROOT}/tools/train.py', 'c.py', '--work-dir=work', '--amp'),
        '--launcher=slurm',
    ]


def test_several_nodes(env, run):
    more = dict(GPUS='16', GPUS_PER_NODE='4', SRUN_ARGS='--mem=8G --exclusive')
    script = 'tools/slurm_test.sh'
    output = run('bash', script, 'gpu', 'dhm', 'c.py', 'x.pth', env={**env, **more})
    assert output.splitlines()[1:] == [
        *options(16, 4),
        *('--mem=8G', '--exclusive'),
        *('python', '-u', f'{ROOT}/tools/test.py', 'c.py', 'x.pth', '--launcher=slurm'),
    ]


@pytest.mark.parametrize('script', ['slurm_train.sh', 'slurm_test.sh'])
def test_usage(script, run):
    output = run('bash', ROOT / 'tools' / script, 'gpu', code=2)
    assert f'tools/{script} PARTITION JOB_NAME CONFIG' in output
