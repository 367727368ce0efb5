"""Two processes with the shell scripts, over gloo on the CPU."""

import os
import re
from pathlib import Path

import pytest
import torch

from paths import ROOT, free_port

HERE = Path(__file__).parent
# What PyTorch warns of where its buckets have not the layout of the weights.
OTHER_LAYOUT = 'do not match bucket view strides'


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'two_processes.py'
    path.write_text(
        f"""
_base_ = '{ROOT}/configs/dhm/resnet20_dhm_1xb64_digits.py'
custom_imports = dict(imports=['dhm_plugin', 'cpu_replicas'])
custom_hooks = [dict(type='SaveReplicaHook'), dict(type='LabelCheckHook')]
env_cfg = dict(dist_cfg=dict(backend='gloo'))
model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
train_cfg = dict(max_epochs=2)
# An odd number: the processes get an image twice, which must count once.
val_dataloader = dict(dataset=dict(indices=359))
test_dataloader = val_dataloader
model = dict(neck=dict(eval_branches=True))
val_evaluator = [
    dict(type='Accuracy', topk=(1,)),
    dict(type='BranchAccuracy'),
    dict(type='BranchDivergences'),
    dict(type='Calibration'),
]
test_evaluator = val_evaluator
work_dir = '{tmp_path}/work'
"""
    )
    return path


@pytest.fixture
def env(tool_env):
    return dict(PYTHONPATH=f'{ROOT}:{HERE}', PORT=free_port())


def assert_replicas_are_equal(folder):
    before, after = (
        [torch.load(folder / f'{when}_{rank}.pth', weights_only=True) for rank in (0, 1)]
        for when in ('before', 'after')
    )
    assert any('side_fcs' in key for key in after[0])
    for key, value in after[0].items():
        assert torch.equal(before[0][key], before[1][key]), key
        assert torch.equal(value, after[1][key]), key
    moved = [key for key, value in after[0].items() if not value.equal(before[0][key])]
    assert len(moved) == len(after[0])


def test_two_processes(config, env, run, two_processes, python, tmp_path):
    output = run('bash', ROOT / 'tools/dist_train.sh', config, '2', env=env)
    assert 'Epoch(val) [2]' in output
    assert OTHER_LAYOUT not in output
    assert_replicas_are_equal(tmp_path / 'work')
    assert len(list(tmp_path.glob('work/*/vis_data/events.*'))) == 1

    checkpoint = tmp_path / 'work' / 'epoch_2.pth'
    test = (ROOT / 'tools/test.py', config, checkpoint, '--work-dir', tmp_path)
    two, one = two_processes(*test, env=env), python(*test, env=env)
    metrics = [
        re.findall(r'(?:accuracy|branch|calibration|divergence)/\w+: [\d.]+', text)
        for text in (one, two)
    ]
    assert len(metrics[0]) == 1 + 4 + 6 + 2 * 4
    assert metrics[0] == metrics[1]


def test_looking_for_unused_parameters(config, env, two_processes, tmp_path):
    with config.open('a') as file:
        file.write('model_wrapper_cfg.update(find_unused_parameters=True)\n')
    output = two_processes(ROOT / 'tools/train.py', config, env=env)
    assert 'Epoch(val) [2]' in output
    assert OTHER_LAYOUT not in output
    assert_replicas_are_equal(tmp_path / 'work')


@pytest.mark.parametrize('what', ['train', 'test'])
def test_two_nodes(what, run, tmp_path):
    """Each starts its processes with torchrun, which is told of the other."""
    script = tmp_path / 'bin/python'
    script.parent.mkdir()
    script.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    script.chmod(0o755)
    env = dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='first', PORT='29501')
    env['PATH'] = f'{script.parent}:{os.environ["PATH"]}'
    # With it, cd prints where it goes.
    env['CDPATH'] = '.'
    files = ['c.py'] if what == 'train' else ['c.py', 'epoch_1.pth']
    command = ('bash', f'tools/dist_{what}.sh', *files, '4', '--work-dir', 'w')
    assert run(*command, env=env).splitlines() == [
        # Before them, for all: yapf writes its cache.
        *('-c', 'import yapf.yapflib.yapf_api'),
        *('-m', 'torch.distributed.run', '--nnodes=2', '--node_rank=1'),
        *('--master_addr=first', '--master_port=29501', '--nproc_per_node=4'),
        *(f'{ROOT}/tools/{what}.py', *files, '--work-dir', 'w'),
        *('--launcher', 'pytorch'),
    ]


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh'])
def test_usage(script, run):
    output = run('bash', ROOT / 'tools' / script, 'config.py', code=2)
    assert output.startswith('Usage: [NNODES=2 NODE_RANK=0 MASTER_ADDR=host PORT=29500]')
    assert f'tools/{script} CONFIG' in output
