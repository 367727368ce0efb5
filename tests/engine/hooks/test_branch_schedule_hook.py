from types import SimpleNamespace

import pytest
import torch
from torch import nn

from dhm_plugin import BranchScheduleHook

DHM = 'dhm/resnet20_dhm_1xb64_digits.py'
DSL = 'dsl/resnet20_dsl_1xb64_digits.py'
PLAIN = 'plain/resnet20_1xb64_digits.py'
# Over the plain config.
DERIVED = {
    'model.type': 'DHMClassifier',
    'model.mimicking_loss': dict(type='MimickingLoss', loss_weight=0.7),
    'model.side_branches': [dict(fork='layer2', fork_prob=0.3)],
}


def over_the_training(hook, network, iterations, max_iters):
    """The probabilities and the weight of the loss in each iteration."""
    runner = SimpleNamespace(model=network, iter=0, max_iters=max_iters)
    hook.before_train(runner)
    loss = getattr(network, 'mimicking_loss', None) or network.head.mimicking_loss
    branches = network.branches_module
    found = []
    for runner.iter in iterations:
        hook.before_train_iter(runner, 0)
        found.append((list(branches.fork_probs), float(loss.loss_weight)))
    hook.after_train(runner)
    return found, (branches.fork_probs, loss.loss_weight)


@pytest.mark.parametrize(
    ('config', 'options', 'own'),
    [(DHM, {}, ([1.0, 1.0], 1.0)), (PLAIN, DERIVED, ([0.3], 0.7))],
    ids=['described', 'derived'],
)
def test_values(config, options, own, build):
    network = build(config, **options)
    hook = BranchScheduleHook(
        fork_prob=[(0.5, 1), (0.5, 0)], loss_weight=[(0.2, 0), (0.6, 2)]
    )
    found, after = over_the_training(hook, network, range(10), 10)
    many = len(own[0])
    assert [probs for probs, _ in found] == [[1.0] * many] * 5 + [[0.0] * many] * 5
    weights = [0, 0, 0, 0.5, 1, 1.5, 2, 2, 2, 2]
    assert [weight for _, weight in found] == pytest.approx(weights)
    # Its own again, as numbers.
    assert after == own
    assert type(after[1]) is float
    # Of a training that goes on.
    again, _ = over_the_training(hook, network, range(4, 10), 10)
    assert again == found[4:]


def test_what_is_not_scheduled_stays(build):
    network = build(PLAIN, **DERIVED)
    found, _ = over_the_training(BranchScheduleHook([(0.1, 0.5)]), network, [0, 9], 10)
    assert found == [([0.5], 0.7)] * 2
    hook = BranchScheduleHook(loss_weight=[(0, 0), (1, 1)])
    found, _ = over_the_training(hook, network, [5], 10)
    assert found == [([0.3], 0.5)]
    hook = BranchScheduleHook(loss_weight=[(0, 2), (1, 1)])
    found, _ = over_the_training(hook, network, [5], 10)
    assert found == [([0.3], 1.5)]


@pytest.mark.parametrize(
    ('points', 'mean'),
    [([(0.3, 0.4)], 0.4), ([(0.5, 1), (0.5, 0)], 0.5), ([(0.2, 0), (0.6, 1)], 0.6)],
)
def test_the_mean(points, mean):
    assert BranchScheduleHook(points).mean_fork_prob == pytest.approx(mean)
    assert BranchScheduleHook(loss_weight=points).mean_fork_prob is None


def test_a_training_that_goes_on_is_the_unbroken_one(train, history, tmp_path):
    options = {
        'model.backbone.depth': 8,
        'model.neck.branches': [dict(num_blocks=(1, 1)), dict(num_blocks=1)],
        'default_hooks.schedule': dict(
            type='BranchScheduleHook',
            fork_prob=[(0.4, 1), (0.4, 0), (0.7, 0), (0.7, 1)],
            loss_weight=[(0, 0), (1, 2)],
        ),
        'train_cfg.max_epochs': 2,
    }
    runner = train('unbroken', **options)
    # Of six iterations the first three and the last one fork.
    mimicking = history(runner, 'train/loss_mimic_side0')
    assert len(mimicking) == 4
    assert mimicking[0] == 0 < min(mimicking[1:])
    assert len(history(runner)) == 6
    first = tmp_path / 'unbroken/epoch_1.pth'
    resumed = train('resumed', **options, load_from=str(first), resume=True)
    ours, theirs = runner.model.state_dict(), resumed.model.state_dict()
    assert any('side_fcs' in key for key in ours)
    for key, value in ours.items():
        assert torch.equal(value, theirs[key]), key


def test_another_weight_is_not_compiled_again(build):
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    network = build(DHM)
    hook = BranchScheduleHook(loss_weight=[(0, 0), (1, 1)])
    runner = SimpleNamespace(model=network, iter=0, max_iters=10)
    hook.before_train(runner)
    objective = torch.compile(network.head.objective, backend='eager')
    logits = {name: torch.randn(4, 10) for name in ('side0', 'side1', 'main')}
    target = torch.arange(4)
    found = []
    for runner.iter in range(10):
        hook.before_train_iter(runner, 0)
        found.append(objective(logits, target)['loss_mimic_main'].item())
    assert found == pytest.approx([found[-1] / 9 * i for i in range(10)])
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] == 1


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({}, 'neither fork_prob nor loss_weight is given'),
        ({'fork_prob': 0.5}, 'fork_prob=0.5; it must be a list of points'),
        ({'fork_prob': []}, r'fork_prob=\[\]; it must be a list of points'),
        ({'loss_weight': [('0', '0'), ('0.5', '1')]}, 'it must be a list of points'),
        ({'fork_prob': [(0, 1, 2)]}, 'it must be a list of points'),
        ({'fork_prob': [(0, 1.5)]}, 'each value must be a probability'),
        ({'fork_prob': [(0.5, 1), (0.2, 0)]}, 'the shares must be in order'),
        ({'fork_prob': [(0, 1), (0.8, 0), (0.5, 1), (1, 0)]}, 'shares must be in order'),
        ({'fork_prob': [(-0.2, 1), (0.5, 0)]}, 'shares must be in order, from 0 to 1'),
        ({'loss_weight': [(0, 1), (6000, 0)]}, 'shares must be in order, from 0 to 1'),
        ({'loss_weight': [(0, -1)]}, 'each value must be 0 or a positive, finite number'),
        ({'loss_weight': [(0, float('nan'))]}, 'each value must be 0 or a positive'),
        ({'loss_weight': [(0, float('inf'))]}, 'each value must be 0 or a positive'),
    ],
)
def test_refuses_points_that_are_none(arguments, message):
    with pytest.raises(ValueError, match=f'BranchScheduleHook: .*{message}'):
        BranchScheduleHook(**arguments)


def test_refuses_a_network_that_has_nothing_to_change(build):
    hook = BranchScheduleHook(loss_weight=[(0, 1)])
    with pytest.raises(TypeError, match='is a Linear, without side branches'):
        hook.before_train(SimpleNamespace(model=nn.Linear(1, 1)))
    with pytest.raises(TypeError, match='mimicking_loss is None; it must have'):
        hook.before_train(SimpleNamespace(model=build(DSL)))
