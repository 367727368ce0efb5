import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import resumption
from dhm_plugin import ConsistencyHook
from resumption import train as train_some


def test_the_training_stays_the_same(train, history):
    reference = train('reference')
    hook = {'default_hooks.consistency': dict(type='ConsistencyHook', interval=2)}
    runner = train('measured', **hook)
    assert history(runner) == history(reference)
    for key, value in reference.model.state_dict().items():
        assert torch.equal(runner.model.state_dict()[key], value), key
    # The second of three iterations.
    assert len(history(runner, 'train/cosine_stage0_side0_main')) == 1
    assert -1 <= history(runner, 'train/cosine_stage0_side0_main')[0] <= 1
    assert -1 <= history(runner, 'train/cka_side1_main')[0] <= 1


def test_is_in_the_line_of_the_same_iteration(train, tmp_path):
    hook = {'default_hooks.consistency': dict(type='ConsistencyHook', interval=2)}
    train('measured', **hook)
    (path,) = tmp_path.glob('measured/*/vis_data/scalars.json')
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert ['kl_side0_main' in row for row in rows if 'loss' in row] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(('interval', 'number'), [(1, 6), (2, 2), (100, 2)])
def test_measures_at_the_lines_of_the_log(interval, number, train, history):
    """Of two epochs of three iterations."""
    hook = dict(type='ConsistencyHook', interval=interval)
    runner = train(
        'measured', **{'default_hooks.consistency': hook, 'train_cfg.max_epochs': 2}
    )
    assert len(history(runner, 'train/kl_side0_main')) == number


def test_norm_layers_of_a_head_count_each_batch_once(tmp_path):
    """Seen: they counted the measured ones twice."""
    norm = dict(type='StackedLinearClsHead', mid_channels=[8], norm_cfg=dict(type='BN1d'))
    hook = dict(type='ConsistencyHook', interval=1)
    measured = train_some(resumption.config(head=norm, hooks=[hook]), tmp_path / 'a')
    reference = train_some(resumption.config(head=norm), tmp_path / 'b')
    for key, value in reference.model.state_dict().items():
        assert torch.equal(measured.model.state_dict()[key], value), key


def test_refuses_what_it_cannot_measure():
    with pytest.raises(ValueError, match='interval=0; it must be positive'):
        ConsistencyHook(interval=0)
    with pytest.raises(TypeError, match='a Linear, has none'):
        ConsistencyHook().before_train(SimpleNamespace(model=nn.Linear(2, 2)))
