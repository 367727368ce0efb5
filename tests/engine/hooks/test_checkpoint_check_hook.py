from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import BaseLoop

from dhm_plugin import CheckpointCheckHook
from dhm_plugin.checkpoints import strip_side_branches

CONFIG = 'dhm/resnet20_dhm_1xb64_digits.py'


class Loop(BaseLoop):
    def __init__(self):
        pass

    def run(self):
        pass


def check(model, weights, loop=None, resume=False):
    runner = SimpleNamespace(model=model, _train_loop=loop, _resume=resume)
    CheckpointCheckHook().after_load_checkpoint(runner, dict(state_dict=weights))


def test_accepts_its_own(build):
    model = build(CONFIG)
    weights = model.state_dict()
    for loop, resume in ((None, False), (Loop(), True)):
        check(model, weights, loop, resume)
        check(model, {f'module.{k}': v for k, v in weights.items()}, loop, resume)
    check(model, {k: v for k, v in weights.items() if 'num_batches' not in k})


def test_a_test_needs_no_side_branches_but_resuming_does(build):
    model = build(CONFIG)
    stripped = strip_side_branches(model.state_dict())
    check(model, stripped)
    with pytest.raises(ValueError, match=r'neck.branches.0.* is missing, it must be'):
        check(model, stripped, Loop(), resume=True)


@pytest.mark.parametrize(
    'options',
    [
        {'model.neck.eval_branches': True},
        {'model.predict_with': 'side0'},
        {'model.predict_with': 'mean'},
    ],
)
def test_a_test_of_side_branches_needs_them(options, build):
    model = build(CONFIG, **options)
    with pytest.raises(ValueError, match=r'neck.branches.0.* is missing, it must be'):
        check(model, strip_side_branches(model.state_dict()))


def test_refuses_another_depth_and_other_classes(build):
    model = build(CONFIG)
    deeper = build(CONFIG, **{'model.backbone.depth': 32})
    message = r'another network .*: 60 weights differ, .*backbone.layer1.3.conv1.weight'
    with pytest.raises(ValueError, match=message):
        check(deeper, model.state_dict())
    other = build(CONFIG, **{'model.head.num_classes': 7})
    message = r'head.fc.weight is \(10, 64\), it must be \(7, 64\)'
    with pytest.raises(ValueError, match=message):
        check(other, model.state_dict())


def test_fine_tuning_may_start_from_anything(build):
    check(build(CONFIG), {'weight': torch.ones(1)}, Loop(), resume=False)
