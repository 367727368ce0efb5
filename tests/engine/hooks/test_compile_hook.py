from types import SimpleNamespace

import pytest
import torch
from torch import nn

from dhm_plugin import CompileHook


@pytest.fixture(autouse=True)
def _nothing_compiled_yet():
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()


# PyTorch's own backends without a compiler run what was traced: they show that all of it
# can be traced, once.
@pytest.mark.parametrize('method', ['plain', 'dsl', 'dhm'])
def test_compiles_once_and_trains_alike(method, train, history):
    reference = train('reference', method)
    hook = dict(type='CompileHook', backend='aot_eager')
    with torch._dynamo.config.patch(error_on_recompile=True):
        runner = train(
            'compiled',
            method,
            **{
                'default_hooks.compile': hook,
                'train_cfg.max_epochs': 2,
                'param_scheduler': [],
            },
        )
    graphs = torch._dynamo.utils.counters['stats']['unique_graphs']
    assert graphs == (1 if method == 'plain' else 2)
    assert not torch._dynamo.utils.counters['graph_break']
    torch.testing.assert_close(
        history(runner)[:1], history(reference)[:1], rtol=1e-5, atol=1e-6
    )
    assert len(history(runner)) == 6
    assert 'extract_feat' not in vars(runner.model)
    assert runner.model.state_dict().keys() == reference.model.state_dict().keys()


def test_compiled_training_agrees_with_eager(train, history):
    options = {'train_cfg.max_epochs': 1}
    reference = train('reference', **options)
    runner = train(
        'compiled',
        **options,
        **{'default_hooks.compile': dict(type='CompileHook', backend='aot_eager')},
    )
    torch.testing.assert_close(history(runner), history(reference), rtol=1e-4, atol=1e-5)


def test_another_network():
    runner = SimpleNamespace(model=nn.Linear(2, 2))
    with pytest.raises(TypeError, match='CompileHook compiles an ImageClassifier'):
        CompileHook().before_train(runner)
