import copy
import pickle
from types import SimpleNamespace

import pytest
import torch
from mmpretrain.structures import DataSample
from torch import nn

from dhm_plugin import CompileHook
from resumption import config
from resumption import train as train_some


@pytest.fixture(autouse=True)
def _nothing_compiled_yet():
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()


# PyTorch's own backends without a compiler run what was traced: they show that all of it
# can be traced, once.
@pytest.mark.no_cover  # what a trace runs is slow to follow
@pytest.mark.parametrize(
    'method', [pytest.param('plain', marks=pytest.mark.one_stack), 'dhm']
)
def test_compiles_once_and_trains_alike(method, train, history):
    options = {'train_cfg.max_epochs': 2, 'param_scheduler': []}
    reference = train('reference', method, **options)
    hook = dict(type='CompileHook', backend='aot_eager')
    runner = train('compiled', method, **{'default_hooks.compile': hook}, **options)
    graphs = torch._dynamo.utils.counters['stats']['unique_graphs']
    # The backbone; two side branches and the objective. Nothing is compiled again.
    assert graphs == (1 if method == 'plain' else 4)
    assert not torch._dynamo.utils.counters['graph_break']
    torch.testing.assert_close(
        history(runner)[:1], history(reference)[:1], rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(history(runner), history(reference), rtol=1e-4, atol=1e-5)
    assert len(history(runner)) == 6
    for module in runner.model.modules():
        assert not {'forward', 'objective'} & {*vars(module)}
    assert runner.model.state_dict().keys() == reference.model.state_dict().keys()


def test_a_smaller_first_batch_is_not_what_is_compiled(tmp_path, monkeypatch):
    """Seen: resumed at the end of an epoch, all other batches ran as they are."""
    shapes = []

    def compiled(function, **options):
        def run(inputs, *args):
            if function.__name__ == 'forward':
                shapes.append(len(inputs))
            return function(inputs, *args)

        return run

    monkeypatch.setattr(torch, 'compile', compiled)
    cfg = config(
        hooks=[dict(type='CompileHook')],
        model=dict(type='ImageClassifier'),
    )
    # Four batches an epoch, of 4, 4, 4 and 2 images.
    train_some(cfg, tmp_path, kill_after=3)
    assert shapes == [4, 4, 4]
    train_some(cfg, tmp_path, resume=True)
    assert shapes == [4] * 6


def test_each_iteration_is_a_step_of_cuda_graphs(monkeypatch):
    steps = []
    name = 'torch.compiler.cudagraph_mark_step_begin'
    monkeypatch.setattr(name, lambda: steps.append(1))
    CompileHook().before_train_iter(None, 0)
    assert steps == [1]


def test_refuses_cuda_graphs_of_accumulated_gradients(tmp_path):
    options = {'optim_wrapper.accumulative_counts': 2}
    cfg = config(hooks=[dict(type='CompileHook', mode='reduce-overhead')], **options)
    message = "mode='reduce-overhead' records CUDA graphs, whose next step overwrites"
    with pytest.raises(ValueError, match=message):
        train_some(cfg, tmp_path)


@pytest.mark.parametrize(
    'copied', [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_a_copy_computes_with_its_own_weights(copied, build):
    model = build('dhm/resnet20_dhm_1xb64_digits.py')
    CompileHook(backend='aot_eager').before_train(SimpleNamespace(model=model))
    twin = copied(model)
    twin = copied(twin)
    images = torch.randn(4, 1, 8, 8)
    samples = [DataSample().set_gt_label(torch.arange(4))]
    before = twin(images, samples, mode='loss')
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    after = twin(images, samples, mode='loss')
    for key, value in before.items():
        torch.testing.assert_close(value, after[key], rtol=0, atol=0)
        assert value.grad_fn is not None
    sum(after.values()).backward()
    assert all(parameter.grad is not None for parameter in twin.parameters())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_another_network():
    runner = SimpleNamespace(model=nn.Linear(2, 2))
    with pytest.raises(TypeError, match='CompileHook compiles an ImageClassifier'):
        CompileHook().before_train(runner)
