import inspect
import pickle

import pytest
import torch
from mmengine.registry import Registry
from mmpretrain import registry
from mmpretrain.registry import HOOKS, MODELS

from dhm_plugin import MimickingLoss, SideBranchNeck
from dhm_plugin.checked_arguments import checked_arguments

OURS = {
    (kind, name): component
    for kind, members in vars(registry).items()
    if isinstance(members, Registry)
    for name, component in members.module_dict.items()
    if component.__module__.startswith('dhm_plugin.')
}
# Their arguments are those of MMEngine's, which they hand over.
OF_MMENGINE = {'ResumableEpochLoop', 'ResumableIterLoop', 'WholeCheckpointHook'}
CHECKED = {key: value for key, value in OURS.items() if key[1] not in OF_MMENGINE}


def test_finds_our_components():
    kinds = {kind for kind, _ in OURS}
    assert kinds >= {'MODELS', 'HOOKS', 'DATASETS', 'METRICS', 'OPTIM_WRAPPERS'}
    assert len(OURS) >= 29


@pytest.mark.parametrize('component', CHECKED.values(), ids=[name for _, name in CHECKED])
def test_every_component_names_the_argument_that_was_meant(component):
    names = list(inspect.signature(component).parameters)
    assert not {'args', 'kwargs'} & {*names}
    for name in names:
        typo = f'{name}x'
        message = rf"{component.__name__}: there is no '{typo}'; did you mean '{name}'\?"
        with pytest.raises(TypeError, match=message):
            component(**{typo: 1})
    with pytest.raises(TypeError, match=f'{component.__name__}: .*; it takes ') as error:
        component(zzzzzz=1)
    assert str(error.value).endswith(', '.join(names) or 'no arguments')


@pytest.mark.parametrize(
    ('build', 'config', 'meant'),
    [
        (MODELS.build, dict(type='MimickingLoss', temprature=2.0), 'temperature'),
        (
            MODELS.build,
            dict(type='DHMClassifier', predict_wth='ensemble'),
            'predict_with',
        ),
        (MODELS.build, dict(type='ResNetStage', num_blcks=2), 'num_blocks'),
        (HOOKS.build, dict(type='ConsistencyHook', intervall=10), 'interval'),
    ],
)
def test_typos_in_configs(build, config, meant):
    with pytest.raises(TypeError, match=rf"did you mean '{meant}'\?"):
        build(config)


def test_a_typo_in_the_entry_of_a_branch():
    stages = [dict(type='ResNetStage', in_channels=8, out_channels=16, num_blocks=1)]
    message = r"branches\[0\]: there is no 'fork_prb'; did you mean 'fork_prob'\?"
    with pytest.raises(ValueError, match=message):
        SideBranchNeck([dict(stages=stages, fork_prb=0.5)])
    message = r'branches\[0\]: there is no 0; it takes stages, '
    with pytest.raises(ValueError, match=message):
        SideBranchNeck([{0: stages}])
    stages[0]['num_blcks'] = stages[0].pop('num_blocks')
    message = r"branches\[0\].stages\[0\]: .*; did you mean 'num_blocks'\?"
    with pytest.raises(ValueError, match=message):
        SideBranchNeck([dict(stages=stages)])


def test_the_component_stays_what_it_was():
    parameters = inspect.signature(MimickingLoss).parameters
    assert MimickingLoss.__init__.__name__ == '__init__'
    assert parameters['temperature'].default == 1.0
    assert MimickingLoss(2.0, eps=1e-8).temperature == 2.0
    copied = pickle.loads(pickle.dumps(MimickingLoss(temperature=3.0)))
    assert copied.temperature == 3.0

    class Own(MimickingLoss):
        def __init__(self, own):
            super().__init__(temperature=own)

    assert Own(own=4.0).temperature == 4.0


def test_a_class_that_takes_any_keyword_stays_as_it_is():
    class Any(torch.nn.Module):
        def __init__(self, **kwargs):
            super().__init__()
            self.kwargs = kwargs

    assert checked_arguments(Any)(a=1).kwargs == {'a': 1}
