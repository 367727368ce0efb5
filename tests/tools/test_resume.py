"""A training that is killed and resumed is the unbroken one, bit for bit."""

import pytest
import torch

from paths import ROOT, free_port
from resumption import (
    BY_ITER,
    CROP,
    DROPOUT,
    EMA,
    ENDLESS,
    FORKED,
    MIXED,
    STOCK,
    assert_resumes,
    config,
)

FLOAT16 = {
    'optim_wrapper.type': 'AmpOptimWrapper',
    'optim_wrapper.loss_scale': dict(init_scale=4.0, growth_interval=3),
}


@pytest.mark.parametrize(
    ('options', 'kills'),
    [
        pytest.param(
            dict(head=DROPOUT, hooks=[EMA], pipeline=STOCK, workers=2),
            [2, 6],
            id='dropout, EMA, workers',
        ),
        pytest.param(
            {'default_hooks.checkpoint.save_best': 'accuracy/top1'},
            [4],
            id="after an epoch's last batch",
        ),
        pytest.param(dict(mixed=MIXED, model=FORKED), [3], id='mixed, forked'),
        pytest.param(
            {'randomness.seed': None, 'optim_wrapper.accumulative_counts': 3},
            [1, 4],
            id='a drawn seed, gradients accumulated',
        ),
        pytest.param(
            {
                **dict(pipeline=STOCK),
                'default_hooks.checkpoint.by_epoch': True,
                'default_hooks.checkpoint.save_best': 'accuracy/top1',
            },
            [6],
            id='no worker, whole epochs',
        ),
        pytest.param(
            {
                **dict(pipeline=CROP, workers=2, persistent=False),
                'optim_wrapper.type': 'BFloat16OptimWrapper',
                'default_hooks.runtime_info.type': 'DeferredRuntimeInfoHook',
                'default_hooks.channels_last.type': 'ChannelsLastHook',
                'default_hooks.logger.interval': 3,
                'default_hooks.checkpoint.interval': 2,
            },
            [7],
            id='new workers, bfloat16, our hooks',
        ),
    ],
)
def test_epochs(options, kills, tmp_path):
    if options.get('pipeline') is CROP:
        options = dict(options, folder=tmp_path)
    assert_resumes(config(**options), tmp_path, *kills)


@pytest.mark.parametrize(
    ('options', 'kills'),
    [
        pytest.param(dict(sampler=ENDLESS, head=DROPOUT), [2], id='no worker'),
        pytest.param(
            dict(sampler=ENDLESS, pipeline=STOCK, mixed=MIXED, workers=2),
            [5],
            id='workers, mixed',
        ),
        pytest.param(dict(pipeline=STOCK), [5], id='rounds'),
    ],
)
def test_iterations(options, kills, tmp_path):
    cfg = config(train_cfg=dict(BY_ITER, _delete_=True), **options)
    assert_resumes(cfg, tmp_path, *kills)


@pytest.mark.usefixtures('scaled_on_cpu')
def test_float16(tmp_path):
    assert_resumes(config(**FLOAT16), tmp_path, 2)
    last = torch.load(tmp_path / 'broken/iter_8.pth', weights_only=True)
    assert last['optimizer']['loss_scaler']['scale'] > 4


def test_a_plain_network(tmp_path):
    plain = dict(type='ImageClassifier')
    assert_resumes(config(head=DROPOUT, pipeline=STOCK, model=plain), tmp_path, 3)


TWO_PROCESSES = """
import os, sys
from pathlib import Path

child = os.fork()
os.environ.update(RANK='01'[not child], LOCAL_RANK='01'[not child], WORLD_SIZE='2')
os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=sys.argv[1])
import cpu_replicas
from resumption import DROPOUT, STOCK, assert_resumes, config

cfg = config(head=DROPOUT, pipeline=STOCK)
cfg.optim_wrapper.accumulative_counts = 3
cfg.merge_from_dict(dict(
    launcher='pytorch',
    env_cfg=dict(dist_cfg=dict(backend='gloo')),
    model_wrapper_cfg=dict(type='MMDistributedDataParallel', device_ids=None),
    train_cfg=dict(max_epochs=3),
    # It differs where statistics of a norm layer do in their last bits.
    val_evaluator=[dict(type='Accuracy', topk=(1,)), dict(type='Calibration')],
))
assert_resumes(cfg, Path(sys.argv[2]), 4)
if child:
    sys.exit(os.waitpid(child, 0)[1])
"""


def test_two_processes(python, tmp_path):
    script = tmp_path / 'two.py'
    script.write_text(TWO_PROCESSES)
    folders = ('', 'tests', 'tests/tools', 'tools/analysis_tools', 'tools/misc')
    folders = ':'.join(str(ROOT / folder) for folder in folders)
    python(script, free_port(), tmp_path, env=dict(PYTHONPATH=folders))
