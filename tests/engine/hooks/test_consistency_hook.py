from types import SimpleNamespace

import pytest
import torch
from mmpretrain.structures import DataSample
from torch import nn

from dhm_plugin import ConsistencyHook
from dhm_plugin.engine.hooks.consistency_hook import cka, measure

DIGITS = {
    'dsl': 'dsl/resnet20_dsl_1xb64_digits.py',
    'dhm': 'dhm/resnet20_dhm_1xb64_digits.py',
}


@pytest.fixture
def batch():
    images = torch.randn(16, 1, 8, 8, dtype=torch.float64)
    labels = DataSample().set_gt_label(torch.arange(16) % 10)
    return dict(inputs=images, data_samples=[labels])


@pytest.mark.parametrize('prefix', ['cosine', 'cosine_ce'])
@pytest.mark.parametrize('method', DIGITS)
def test_cosines_are_those_of_gradients_by_hand(method, prefix, build, batch):
    model = build(DIGITS[method]).double().train()
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
        if (method, prefix) == ('dhm', 'cosine'):
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
    # By its definition, with feature covariances.
    x_, y_ = (z.double() - z.double().mean(0) for z in (x, y))
    expected = (y_.T @ x_).norm() ** 2 / ((x_.T @ x_).norm() * (y_.T @ y_).norm())
    assert cka(x, y).item() == pytest.approx(expected.item())
    assert cka(x, y) < 0.7


def test_the_training_stays_the_same(train, history):
    reference = train('reference')
    hook = {'default_hooks.consistency': dict(type='ConsistencyHook', interval=2)}
    runner = train('measured', **hook)
    assert history(runner) == history(reference)
    for key, value in reference.model.state_dict().items():
        assert torch.equal(runner.model.state_dict()[key], value), key
    assert len(history(runner, 'train/cosine_stage0_side0_main')) == 1
    assert -1 <= history(runner, 'train/cosine_stage0_side0_main')[0] <= 1
    assert 0 <= history(runner, 'train/cka_side1_main')[0] <= 1


def test_refuses_what_it_cannot_measure():
    with pytest.raises(ValueError, match='interval=0; it must be positive'):
        ConsistencyHook(interval=0)
    with pytest.raises(TypeError, match='a Linear, has none'):
        ConsistencyHook().before_train(SimpleNamespace(model=nn.Linear(2, 2)))


def test_divergences_are_those_of_the_loss(build, batch):
    model = build(DIGITS['dhm']).double().train()
    measured = measure(model, **batch)
    losses = model(**batch, mode='loss')
    taught = measured['kl_side0_main'] + measured['kl_side1_main']
    assert taught == pytest.approx(losses['loss_mimic_main'].item(), rel=1e-6)
