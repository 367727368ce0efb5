from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from benchmarks.methods import build as build_model
from dhm_plugin import CompileHook
from dhm_plugin.engine.consistency import cka, measure
from families import config_of, plain_config_of

DIGITS = {
    'dsl': 'dsl/resnet20_dsl_1xb64_digits.py',
    'dhm': 'dhm/resnet20_dhm_1xb64_digits.py',
    'derived': 'plain/resnet20_1xb64_digits.py',
}
DERIVED = {
    'model.type': 'DHMClassifier',
    'model.mimicking_loss': dict(type='MimickingLoss'),
}


@pytest.fixture
def batch():
    images = torch.randn(16, 1, 8, 8, dtype=torch.float64)
    labels = DataSample().set_gt_label(torch.arange(16) % 10)
    return dict(inputs=images, data_samples=[labels])


@pytest.mark.parametrize('prefix', ['cosine', 'cosine_ce'])
@pytest.mark.parametrize('method', DIGITS)
def test_cosines_are_those_of_gradients_by_hand(method, prefix, build, batch):
    options = DERIVED if method == 'derived' else {}
    model = build(DIGITS[method], **options).double().train()
    measured = measure(model, **batch)

    stages = [
        [model.backbone.conv1, model.backbone.bn1, model.backbone.layer1],
        [model.backbone.layer2],
    ]
    gradients = {}
    for name in ('side0', 'side1', 'main'):
        model.zero_grad()
        losses = model(**batch, mode='loss')
        loss = losses[f'loss_ce_{name}']
        if method != 'dsl' and prefix == 'cosine':
            loss = loss + losses[f'loss_mimic_{name}']
        loss.backward()
        for i, stage in enumerate(stages):
            grads = [p.grad for module in stage for p in module.parameters()]
            if all(grad is not None for grad in grads):
                gradients[name, i] = torch.cat([grad.flatten() for grad in grads])
    pairs = [
        (0, 'side0', 'side1'),
        (0, 'side0', 'main'),
        (0, 'side1', 'main'),
        (1, 'side1', 'main'),
    ]
    cosines = {key for key in measured if key.startswith(f'{prefix}_stage')}
    assert cosines == {f'{prefix}_stage{i}_{a}_{b}' for i, a, b in pairs}
    for i, a, b in pairs:
        x, y = gradients[a, i], gradients[b, i]
        expected = (x @ y / (x.norm() * y.norm())).item()
        key = f'{prefix}_stage{i}_{a}_{b}'
        assert measured[key] == pytest.approx(expected, abs=1e-9)


def test_cka():
    x, y = torch.randn(50, 20), torch.randn(50, 30)
    rotation, _ = torch.linalg.qr(torch.randn(20, 20))
    assert cka(x, 3 * x @ rotation + 5).item() == pytest.approx(1, abs=1e-5)
    assert cka(x, y).item() == pytest.approx(cka(y, x).item())


def test_cka_of_features_far_from_zero():
    x = torch.randn(50, 20)
    y = x @ torch.randn(20, 30)
    assert cka(x + 1000, y).item() == pytest.approx(cka(x, y).item(), abs=1e-3)


def test_cka_by_sums_over_different_images():
    """The estimate's definition: sums over pairs, triples and fours of images."""
    x, y = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 2, dtype=torch.float64)

    def alignment(k, m):
        pairs = torch.stack([k[i, j] * m[i, j] for i, j in permutations(range(6), 2)])
        triples = torch.stack(
            [k[i, j] * m[i, q] for i, j, q in permutations(range(6), 3)]
        )
        fours = torch.stack(
            [k[i, j] * m[p, q] for i, j, p, q in permutations(range(6), 4)]
        )
        return pairs.mean() - 2 * triples.mean() + fours.mean()

    k, m = x @ x.T, y @ y.T
    expected = alignment(k, m) / (alignment(k, k) * alignment(m, m)).sqrt()
    assert cka(x, y).item() == pytest.approx(expected.item(), rel=1e-9)


def test_cka_of_unrelated_features_is_zero_on_average():
    values = [cka(torch.randn(32, 512), torch.randn(32, 256)).item() for _ in range(100)]
    # The mean of 100 is within five of its standard deviations of 0.
    mean, error = np.mean(values), np.std(values) / 10
    assert error < 0.02
    assert abs(mean) < 5 * error


def test_leaves_out_what_cannot_be_measured(build, batch):
    model = build(DIGITS['dhm']).double().train()
    for name, parameter in model.backbone.named_parameters():
        parameter.requires_grad = name.startswith('layer3')
    few = dict(inputs=batch['inputs'][:3], data_samples=batch['data_samples'])
    few['data_samples'] = [DataSample().set_gt_label(torch.arange(3))]
    for data in (batch, few):
        measured = measure(model, **data)
        assert {key.split('_')[0] for key in measured} == (
            {'cka', 'kl'} if data is batch else {'kl'}
        )


@pytest.mark.parametrize(('images', 'kinds'), [(4, {'cka', 'kl'}), (3, {'kl'})])
def test_cka_is_of_four_images_or_more(images, kinds, build, batch):
    model = build(DIGITS['dhm']).double().train().requires_grad_(False)
    samples = [DataSample().set_gt_label(torch.arange(images))]
    measured = measure(model, batch['inputs'][:images], samples)
    assert {key.split('_')[0] for key in measured} == kinds


def draws(module, inputs):
    """As dropout does."""
    torch.rand(3)


@pytest.mark.parametrize('method', ['dhm', 'derived'])
def test_a_measurement_leaves_nothing_behind(method, build, batch):
    options = DERIVED if method == 'derived' else {}
    model = build(DIGITS[method], **options).double().train()
    model.backbone.register_forward_pre_hook(draws)
    hooks = [{**module._forward_hooks} for module in model.modules()]
    state = torch.get_rng_state()
    measure(model, **batch)
    assert torch.equal(torch.get_rng_state(), state)
    assert [{**module._forward_hooks} for module in model.modules()] == hooks
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize('method', DIGITS)
def test_checkpointing_changes_no_number(method, build, batch):
    options = DERIVED if method == 'derived' else {}
    measured = []
    for with_cp in (False, True):
        model = build(DIGITS[method], **options, **{'model.backbone.with_cp': with_cp})
        measured.append(measure(model.double().train(), **batch))
    assert measured[1] == measured[0]


@pytest.mark.parametrize('method', ['derived', 'described'])
def test_with_checkpointing_of_mmpretrain(method):
    """With PyTorch's reentrant ones, which refuse the gradients of some weights."""
    cfg = plain_config_of('ResNet').model
    cfg.backbone.with_cp = True
    cfg.type, losses = 'DHMClassifier', dict(mimicking_loss=dict(type='MimickingLoss'))
    if method == 'derived':
        cfg.update(losses)
    else:
        cfg.neck = dict(type='SideBranchNeck', branches=[dict(num_blocks=1)])
        cfg.head = dict(cfg.head, type='MultiBranchClsHead', **losses)
    model = build_model(cfg).train()
    samples = [DataSample().set_gt_label(i) for i in range(4)]
    assert measure(model, torch.randn(4, 3, 64, 64), samples)
    assert any(getattr(module, 'with_cp', False) for module in model.modules())


def test_mixed_precision_does_not_reach_it(build, batch):
    model = build(DIGITS['dhm']).train()
    batch['inputs'] = batch['inputs'].float()
    expected = measure(model, **batch)
    with torch.autocast('cpu', torch.bfloat16):
        assert measure(model, **batch) == expected


def test_divergences_are_those_of_the_loss(build, batch):
    model = build(DIGITS['dhm']).double().train()
    measured = measure(model, **batch)
    losses = model(**batch, mode='loss')
    taught = measured['kl_side0_main'] + measured['kl_side1_main']
    assert taught == pytest.approx(losses['loss_mimic_main'].item(), rel=1e-6)


@pytest.mark.one_stack
def test_a_compiled_network_is_measured_as_it_is(build, batch):
    """Compiled, its backbone is one function that reaches all of its parameters."""
    torch.compiler.reset()
    model = build(DIGITS['dhm']).double().train()
    measured = measure(model, **batch)
    CompileHook(backend='aot_eager').before_train(SimpleNamespace(model=model))
    model(**batch, mode='loss')
    again = measure(model, **batch)
    assert again.keys() == measured.keys()
    for key, value in measured.items():
        assert again[key] == pytest.approx(value, rel=1e-6, abs=1e-9), key


@pytest.mark.one_stack
@pytest.mark.parametrize(('family', 'size'), [('HRNet', 64), ('SwinTransformer', 224)])
def test_of_modules_that_give_several_values(family, size):
    model = MODELS.build(config_of(family).model).train()
    samples = [DataSample().set_gt_label(i) for i in range(2)]
    measured = measure(model, torch.randn(2, 3, size, size), samples)
    for i, pair in ((0, 'side0_main'), (0, 'side1_main'), (1, 'side1_main')):
        assert -1 <= measured[f'cosine_stage{i}_{pair}'] <= 1
    assert 'cosine_stage1_side0_main' not in measured
