"""Side branches of plain configs beside what else a training may have."""

import copy
import itertools

import pytest
import torch
from mmengine.model import convert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner.activation_checkpointing import turn_on_activation_checkpointing
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch.nn.modules.batchnorm import _BatchNorm

from .conftest import CLASSES
from .families import build

FAMILIES = ('ShuffleNetV2', 'DeiT')
WITH_BATCH_NORM = ('ShuffleNetV2', 'RegNet')
SIDES = ('side0', 'side1')
LOSSES = {f'loss_{kind}_{name}' for kind in ('ce', 'mimic') for name in (*SIDES, 'main')}


def batch():
    labels = [DataSample().set_gt_label(i % CLASSES) for i in range(4)]
    return torch.randn(4, 3, 64, 64), labels


def logged(runner, key):
    return list(runner.message_hub.get_scalar(f'train/{key}').data[0])


def untrained(runner):
    """List what an optimizer with momentum has not trained."""
    state = runner.optim_wrapper.optimizer.state
    return [
        name
        for name, parameter in runner.model.named_parameters()
        if not state.get(parameter, {}).get('momentum_buffer', torch.zeros(1)).any()
    ]


@pytest.mark.parametrize('family', FAMILIES)
def test_mixed_images_and_smooth_labels(family, small, train):
    """Every branch is asked for the same scores, and its loss is what is logged."""
    loss = dict(type='LabelSmoothLoss', label_smooth_val=0.1, num_classes=CLASSES)
    augments = [dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]
    cfg = small(family)
    cfg.model.update(train_cfg=dict(augments=augments))
    cfg.model.head.loss = loss
    calls = []

    def prepare(model):
        def keep(module, inputs, value):
            calls.append((inputs[1], value.item()))

        model.head.loss_module.register_forward_hook(keep)

    runner = train(cfg, prepare=prepare)
    assert not untrained(runner)
    assert len(calls) == 3 * 3
    scores = calls[0][0]
    assert scores.shape == (8, CLASSES)
    assert ((scores > 0) & (scores < 1)).any()
    for i, name in enumerate((*SIDES, 'main')):
        assert torch.equal(calls[i][0], scores)
        assert logged(runner, f'loss_ce_{name}') == [calls[j + i][1] for j in (0, 3, 6)]


@pytest.mark.parametrize('family', FAMILIES)
def test_ema(family, small, train):
    cfg = small(family)
    still = dict(optimizer=dict(type='SGD', lr=0.0))
    weights = train(cfg, 'initial', optim=still).model.state_dict()
    runner = train(
        cfg,
        custom_hooks=[dict(type='EMAHook', momentum=0.25)],
        optim=dict(accumulative_counts=3),  # one step
    )
    (hook,) = (h for h in runner.hooks if type(h).__name__ == 'EMAHook')
    ema, model = hook.ema_model.module, runner.model
    assert ema.branch_names == model.branch_names
    # Of a copy of the network at the start, one step, and before it two of it as it was.
    for name, parameter in model.named_parameters():
        expected = 0.75 * weights[name] + 0.25 * parameter
        torch.testing.assert_close(ema.get_parameter(name), expected)


@pytest.mark.parametrize('family', WITH_BATCH_NORM)
def test_synchronized_batch_norm(family, small):
    """The conversion makes new norm layers, without the hooks of the old ones.

    In one process: in several, PyTorch's SyncBatchNorm refuses a CPU.
    """
    model = build(small(family))
    converted = convert_sync_batchnorm(copy.deepcopy(model))
    norms = [m for m in converted.modules() if isinstance(m, _BatchNorm)]
    assert norms
    assert all(isinstance(norm, torch.nn.SyncBatchNorm) for norm in norms)
    inputs, labels = batch()
    losses, expected = (each.loss(inputs, labels) for each in (converted, model))
    assert {*losses} == LOSSES
    torch.testing.assert_close(losses, expected)
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in converted.parameters())


@pytest.mark.parametrize('family', FAMILIES)
def test_accumulated_gradients(family, small, train):
    cfg = small(family)
    # Two steps: at the first the head of the DeiT is 0.
    runner = train(cfg, epochs=2, optim=dict(accumulative_counts=3))
    assert not untrained(runner)
    if family == 'DeiT':  # batch norm sees the parts of a batch
        whole = train(cfg, 'whole', epochs=2, batch_size=24)
        for ours, theirs in zip(runner.model.parameters(), whole.model.parameters()):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('family', FAMILIES)
def test_frozen_stages(family, small, train):
    """The network's are frozen, as in the stock one; all of the branches trains."""
    cfg = small(family, **{'backbone.frozen_stages': 1})
    runner = train(cfg)
    init_default_scope('mmpretrain')
    stock = cfg.model.to_dict()
    del stock['mimicking_loss']
    stock = MODELS.build({**stock, 'type': 'ImageClassifier'}).train()
    frozen = [name for name, p in stock.named_parameters() if not p.requires_grad]
    assert frozen
    assert untrained(runner) == frozen


def test_norm_layers_of_the_branches_train_where_the_networks_do_not(small, train):
    """They have no statistics that are worth keeping."""
    runner = train(small('ShuffleNetV2', **{'backbone.norm_eval': True}))
    model = runner.model.train()
    for part, mode in ((model.backbone, False), (model.side_branches, True)):
        norms = [m for m in part.modules() if isinstance(m, _BatchNorm)]
        assert norms
        assert {norm.training for norm in norms} == {mode}
        assert {norm.num_batches_tracked.item() for norm in norms} == {3 * mode}


@pytest.mark.parametrize('family', WITH_BATCH_NORM)
def test_precise_batch_norm(family, small, train):
    """Of every branch: what one batch of all images has, with the updated weights."""
    means = {}

    def prepare(model):
        for name, module in model.named_modules():
            if isinstance(module, _BatchNorm):
                module.register_forward_pre_hook(
                    lambda norm, inputs, name=name: means.update(
                        {name: inputs[0].detach().mean(dim=(0, 2, 3))}
                        if norm.training
                        else {}
                    )
                )

    hook = dict(type='PreciseBNHook', num_samples=24, priority='ABOVE_NORMAL')
    runner = train(small(family), batch_size=24, prepare=prepare, custom_hooks=[hook])
    assert any(name.startswith('side_branches.1') for name in means)
    for name, mean in means.items():
        running_mean = runner.model.get_submodule(name).running_mean
        torch.testing.assert_close(running_mean, mean, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('family', ['ConvNeXt', 'DeiT'])
def test_drop_path(family, small, train):
    """A block of a branch has the rate that the network's own has."""
    cfg = small(family, **{'backbone.drop_path_rate': 0.5})
    runner = train(cfg)
    rates = {
        name: module.drop_prob
        for name, module in runner.model.named_modules()
        if type(module).__name__ == 'DropPath'
    }
    of_branches = {k: v for k, v in rates.items() if k.startswith('side_branches.')}
    assert {name.split('.')[1] for name in of_branches} == {'0', '1'}
    assert max(of_branches.values()) > 0
    for name, rate in of_branches.items():
        assert rate == rates[name.split('.', 2)[2]]


@pytest.mark.parametrize('family', ['ConvNeXt', 'DeiT'])
def test_layer_wise_learning_rate_decay(family, small, train):
    """All of a side branch is new: it has the head's learning rate."""
    optim = dict(
        constructor='LearningRateDecayOptimWrapperConstructor',
        paramwise_cfg=dict(layer_decay_rate=0.5),
        optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    )
    runner = train(small(family), optim=optim)
    groups = runner.optim_wrapper.optimizer.param_groups
    scales = {group['param_name']: group['lr_scale'] for group in groups}
    assert len(scales) == len([*runner.model.parameters()])
    of_branches = [v for k, v in scales.items() if k.startswith('side_branches.')]
    assert {*of_branches} == {1.0}
    assert {v for k, v in scales.items() if k.startswith('head.')} == {1.0}
    of_network = {v for k, v in scales.items() if k.startswith('backbone.')}
    assert min(of_network) < 0.1


@pytest.mark.parametrize('forked', [*itertools.product((True, False), repeat=2)])
@pytest.mark.parametrize('family', FAMILIES)
def test_what_is_not_forked_neither_runs_nor_changes_the_rest(family, forked, small):
    """Compared with the objective of the other branches alone."""
    model = build(small(family))
    twin = copy.deepcopy(model)
    model.side_branches.draw_forks = lambda: forked
    ran = []
    for i, branch in enumerate(model.side_branches):
        branch.register_forward_hook(lambda *_, i=i: ran.append(i))
    inputs, labels = batch()
    losses = model(inputs, labels, mode='loss')
    present = [i for i in (0, 1) if forked[i]]
    names = [*(f'side{i}' for i in present), 'main']
    kinds = ('ce', 'mimic') if present else ('ce',)
    assert ran == present
    assert {*losses} == {f'loss_{kind}_{name}' for kind in kinds for name in names}
    sum(losses.values()).backward()

    logits = dict(zip(twin.branch_names, twin.branch_logits(inputs)))
    target = torch.cat([sample.gt_label for sample in labels])
    expected = twin.objective({name: logits[name] for name in names}, target)
    sum(expected.values()).backward()
    torch.testing.assert_close(losses, expected, rtol=0, atol=0)
    for (name, ours), theirs in zip(model.named_parameters(), twin.parameters()):
        assert ours.grad is not None, name
        if theirs.grad is None:
            assert not ours.grad.any(), name
        else:
            torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.one_stack
@pytest.mark.parametrize('family', FAMILIES)
def test_compiled(family, small, train):
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    eager = train(small(family), 'eager')
    hook = dict(type='CompileHook', backend='aot_eager')
    compiled = train(small(family), 'compiled', custom_hooks=[hook])
    if family == 'ShuffleNetV2':  # MMCV's drop path cannot be compiled in one piece
        # The backbone, each branch and the objective.
        assert torch._dynamo.utils.counters['stats']['unique_graphs'] == 4
        assert not torch._dynamo.utils.counters['graph_break']
    for key in LOSSES:
        ours, theirs = logged(compiled, key), logged(eager, key)
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    ('family', 'option'),
    [
        ('ShuffleNetV2', 'with_cp'),
        ('ConvNeXt', 'with_cp'),
        ('DenseNet', 'memory_efficient'),
    ],
)
def test_activation_checkpointing_changes_no_gradient(family, option, small):
    inputs, labels = batch()
    grads = []
    for on in (False, True):
        torch.manual_seed(1)
        model = build(small(family, **{f'backbone.{option}': on})).double()
        assert on is any(getattr(m, option, False) for m in model.modules())
        torch.manual_seed(2)
        sum(model.loss(inputs.double(), labels).values()).backward()
        grads.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(*grads)


def test_refuses_a_fork_of_which_a_checkpoint_keeps_nothing(small):
    cfg = small('ShuffleNetV2', **{'backbone.with_cp': True})
    cfg.model.side_branches = [dict(fork='layers.1.2.branch2.0')]
    message = r'layers.1.2 keeps no activation of it \(with_cp\); fork after layers.1.2'
    with pytest.raises(ValueError, match=message):
        build(cfg)


def gradients(cfg, checkpointed=()):
    torch.manual_seed(1)
    model = build(cfg).double().train()
    turn_on_activation_checkpointing(model, list(checkpointed))
    inputs, labels = batch()
    torch.manual_seed(2)
    sum(model.loss(inputs.double(), labels).values()).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def test_mmengines_checkpointing_changes_no_gradient_or_is_refused(small):
    """Seen: a branch trained with others, and a stage got none, without a word."""
    cfg = small('ShuffleNetV2')
    expected = gradients(cfg)
    whole = [
        'backbone.layers.0',
        'backbone.layers.1',
        'side_branches.0.backbone.layers.2',
    ]
    torch.testing.assert_close(gradients(cfg, whole), expected)
    message = r'layers\.\S+ of the network is run, or taken up, without a gradient'
    with pytest.raises(RuntimeError, match=message):
        gradients(cfg, ['side_branches.0'])
    cfg.model.side_branches = [dict(fork='layers.1.2')]
    with pytest.raises(RuntimeError, match=message):
        gradients(cfg, ['backbone.layers.1'])
    # What is frozen trains nothing: it may run so.
    cfg.model.backbone.frozen_stages = 2
    expected = gradients(cfg)
    torch.testing.assert_close(gradients(cfg, ['backbone.layers.1']), expected)


def test_a_key_of_the_branches_goes_before_one_of_the_backbone(small):
    """As docs/training.md says; without it, both are matched."""
    model = build(small('ShuffleNetV2'))
    optimizer = dict(type='SGD', lr=1.0)
    rates = {}
    for keys in (['backbone'], ['backbone', 'side_branches']):
        mults = dict(zip(keys, (dict(lr_mult=0.1), dict(lr_mult=1.0))))
        wrapper = build_optim_wrapper(
            model,
            dict(optimizer=optimizer, paramwise_cfg=dict(custom_keys=mults)),
        )
        names = {parameter: name for name, parameter in model.named_parameters()}
        for group in wrapper.optimizer.param_groups:
            (parameter,) = group['params']
            part = names[parameter].partition('.')[0]
            rates.setdefault((len(keys), part), set()).add(round(group['lr'], 6))
    assert rates[1, 'side_branches'] == {0.1, 1.0}
    assert rates[2, 'side_branches'] == {1.0}
    assert rates[1, 'backbone'] == rates[2, 'backbone'] == {0.1}
