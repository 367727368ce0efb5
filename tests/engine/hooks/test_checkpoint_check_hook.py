from itertools import permutations
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import BaseLoop
from torch import nn

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


def test_branches_that_are_there_must_fit(build):
    model = build(CONFIG)
    wider = build(CONFIG, **{'model.neck.branches.0.widen': 2})
    with pytest.raises(ValueError, match=r'another network .*neck\.branches\.0\.'):
        check(model, wider.state_dict())


def test_so_it_is_over_a_plain_config(build):
    options = {'model.type': 'DHMClassifier'}
    model = build('plain/resnet20_1xb64_digits.py', **options)
    stripped = strip_side_branches(model.state_dict())
    check(model, model.state_dict(), Loop(), resume=True)
    check(model, stripped)
    check(model, stripped, Loop())  # a training that starts from a plain checkpoint
    message = r'side_branches.0.* is missing, it must be'
    with pytest.raises(ValueError, match=message):
        check(model, stripped, Loop(), resume=True)
    model.eval_branches = True
    with pytest.raises(ValueError, match=message):
        check(model, stripped)


@pytest.mark.parametrize(
    'options',
    [
        {'model.neck.eval_branches': True},
        {'model.predict_with': 'side0'},
        {'model.predict_with': 'ensemble'},
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


@pytest.mark.parametrize(
    ('config', 'others'),
    [
        ('dhm/resnet20_dhm_1xb64_digits.py', {'model.head.num_classes': 7}),
        ('plain/resnet20_1xb64_digits.py', {}),
        ('dhm/resnet20_dhm_1xb64_digits.py', {'model.backbone.in_channels': 3}),
    ],
)
def test_training_starts_from_the_same_backbone(config, others, build):
    of_file, network = build(config, **others), build(CONFIG)
    for weights in (of_file.state_dict(), network.state_dict()):
        check(network, weights, Loop())
        check(of_file, weights, Loop())
        check(of_file, {f'module.{k}': v for k, v in weights.items()}, Loop())


def test_training_does_not_start_from_another_backbone(build):
    resnets = {
        depth: build(f'plain/resnet{depth}_8xb32_in1k.py') for depth in (18, 34, 50)
    }
    for a, b in permutations(resnets, 2):
        with pytest.raises(ValueError, match=r'load_from: .* another backbone') as error:
            check(resnets[a], resnets[b].state_dict(), Loop())
        assert 'the first: backbone.layer1.' in str(error.value)


def test_training_does_not_start_from_keys_that_are_not_loaded(build):
    model = build(CONFIG)
    bare = model.backbone.state_dict()
    message = r'19 of 19 .*must begin with backbone\.; none .* such as conv1.weight, does'
    with pytest.raises(ValueError, match=message):
        check(model, bare, Loop())
    with pytest.raises(ValueError, match='19 of 19 weights differ'):
        check(model, {}, Loop())


def test_buffers_of_a_backbone_tell_nothing():
    """As those of Swin, by which attention finds its biases; older files have them."""
    model = nn.ModuleDict(dict(backbone=nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))))
    for i, layer in enumerate(model.backbone):
        layer.register_buffer('index', torch.zeros(2, 2), persistent=i == 0)
    check(model, {**model.state_dict(), 'backbone.1.index': torch.zeros(3, 3)}, Loop())
    check(model, dict(model.named_parameters()), Loop())


def test_refuses_before_the_first_iteration(train, build, tmp_path):
    other = build(CONFIG, **{'model.backbone.depth': 32})
    torch.save(dict(state_dict=other.state_dict()), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=r'load_from: .* another backbone'):
        train('other', load_from=str(tmp_path / 'other.pth'))
    assert not list((tmp_path / 'other').glob('*.pth'))
