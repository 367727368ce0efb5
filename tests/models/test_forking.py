"""Side branches that are forked at random."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from mmpretrain.structures import DataSample

from dhm_plugin import BFloat16OptimWrapper, CompileHook
from dhm_plugin.models.forking import draw_forks

FORKED = 'ablations/resnet20_dhm-fork0.5_1xb64_digits.py'
ALWAYS = 'dhm/resnet20_dhm_1xb64_digits.py'


@pytest.fixture
def batch():
    labels = DataSample().set_gt_label(torch.arange(8) % 10)
    return torch.randn(8, 1, 8, 8), [labels]


def forks(model, *choices):
    """Let a network fork its branches so, one choice an iteration, again and again."""
    model.neck.draw_forks = itertools.cycle(choices).__next__
    return model


@pytest.mark.parametrize('forked', list(itertools.product((True, False), repeat=2)))
def test_what_is_not_forked_neither_runs_nor_changes_the_rest(forked, build, batch):
    """Compared with a network that has the other branches alone."""
    model = forks(build(FORKED), forked)
    ran = []
    for i, branch in enumerate(model.neck.branches):
        branch.register_forward_hook(lambda *_, i=i: ran.append(i))
    losses = model(*batch, mode='loss')
    present = [i for i in (0, 1) if forked[i]]
    names = [*(f'side{i}' for i in present), 'main']
    kinds = ('ce', 'mimic') if present else ('ce',)
    assert ran == present
    assert set(losses) == {f'loss_{kind}_{name}' for kind in kinds for name in names}
    sum(losses.values()).backward()

    alone = build(ALWAYS)
    feats = alone.neck.forward_branches(alone.backbone(batch[0]))
    logits = alone.head.branch_logits(feats)
    expected = alone.head.objective(
        {name: logits[name] for name in names}, batch[1][0].gt_label
    )
    sum(expected.values()).backward()
    for key, loss in losses.items():
        torch.testing.assert_close(loss, expected[key], rtol=0, atol=0)
    for (name, ours), theirs in zip(model.named_parameters(), alone.parameters()):
        assert ours.grad is not None, name
        if theirs.grad is None:
            assert not ours.grad.any(), name
        else:
            torch.testing.assert_close(ours.grad, theirs.grad)


def test_always_forked_is_compiled_as_a_whole(build):
    torch.compiler.reset()
    model = build(ALWAYS)
    run = torch.compile(model.extract_feat, fullgraph=True, backend='eager')
    assert len(run(torch.randn(2, 1, 8, 8))) == 3


def test_the_probability(build):
    model = build(FORKED)
    counts = torch.tensor([model.neck.draw_forks() for _ in range(2000)]).double()
    # Five standard deviations of a mean of 2000, and of the share of both at once.
    assert (counts.mean(dim=0) - 0.5).abs().max() < 5 * 0.5 / 2000**0.5
    assert abs(counts.prod(dim=1).mean().item() - 0.25) < 5 * 0.43 / 2000**0.5


def test_all_run_in_evaluation(build):
    model = build(FORKED, **{'model.neck.eval_branches': True}).eval()
    images = torch.randn(2, 1, 8, 8)
    for _ in range(8):
        assert len(model.extract_feat(images)) == 3
        assert None not in model.extract_feat(images)


@pytest.mark.parametrize('wrapper', [OptimWrapper, BFloat16OptimWrapper])
@pytest.mark.parametrize('accumulate', [1, 2])
def test_fused_sgd_with_momentum(wrapper, accumulate, build, batch):
    """From the first step on every parameter has a momentum."""
    model = forks(build(FORKED), (False, True), (False, False), (True, True))
    sgd = dict(lr=0.01, momentum=0.9, weight_decay=1e-4, fused=True)
    optimizer = torch.optim.SGD(model.parameters(), **sgd)
    wrapper = wrapper(optimizer=optimizer, accumulative_counts=accumulate)
    wrapper.initialize_count_status(model, 0, 12)
    for _ in range(12):
        data = dict(inputs=batch[0], data_samples=batch[1])
        model.train_step(data, wrapper)
    momenta = [optimizer.state[p]['momentum_buffer'] for p in model.parameters()]
    assert all(momentum.isfinite().all() for momentum in momenta)
    assert all(momentum.any() for momentum in momenta)


@pytest.mark.one_stack
def test_compiled(build, batch):
    """Each branch is compiled once, the objective for each set of branches."""
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    choices = list(itertools.product((True, False), repeat=2))
    eager, compiled = (forks(build(FORKED), *choices) for _ in range(2))
    runner = type('Runner', (), dict(model=compiled))
    CompileHook(backend='aot_eager').before_train(runner)
    for _ in range(8):
        losses, expected = (model(*batch, mode='loss') for model in (compiled, eager))
        assert losses.keys() == expected.keys()
        for key, loss in losses.items():
            torch.testing.assert_close(loss, expected[key], rtol=1e-4, atol=1e-5)
    graphs = torch._dynamo.utils.counters['stats']['unique_graphs']
    assert graphs == 1 + 2 + 4
    assert not torch._dynamo.utils.counters['graph_break']


def test_iterations_decide(build):
    hub = MessageHub.get_instance('test_forking')

    def drawn(iterations):
        neck, choices = build(FORKED).neck, []
        for iteration in iterations:
            hub.update_info('iter', iteration)
            choices.append(neck.draw_forks())
        return choices

    unbroken = drawn(range(40))
    assert drawn(range(20, 40)) == unbroken[20:]
    assert len({tuple(choice) for choice in unbroken}) == 4
    hub.runtime_info.clear()


def test_each_branch_has_its_own_probability():
    sequences = map(np.random.SeedSequence, range(2000))
    seed = SimpleNamespace(next_sequence=sequences.__next__)
    drawn = np.array([draw_forks([0.2, 0.9], seed) for _ in range(2000)])
    assert drawn.mean(axis=0).tolist() == pytest.approx([0.2, 0.9], abs=0.05)
