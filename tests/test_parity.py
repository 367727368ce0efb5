"""The models of our configs compute what the authors' code computes, in float64.

``tests/data`` holds values measured from the authors' published code; the weights and
images behind them are filled by rule from the authors' names.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from dhm_plugin import MimickingLoss
from dhm_plugin.checkpoints import official_names

DATA = Path(__file__).parent / 'data'
RELATIVE = 1e-9
# What the authors' smoothing moves a divergence by: measured at most 3.3e-5 (ResNet-50).
SMOOTHING = 5e-5

CONFIGS = {
    'resnet18': 'resnet18_dhm_8xb32_in1k.py',
    'resnet50': 'resnet50_dhm_8xb32_in1k.py',
    'cifar_resnet32': 'resnet32_dhm_1xb128_cifar100.py',
    'cifar_wrn_16_8': 'wrn16-8_dhm_1xb128_cifar100.py',
    'cifar_densenet_40_12': 'densenet40-12_dhm_1xb64_cifar100.py',
    'cifar_densenet_bc_100_12': 'densenet-bc100-12_dhm_1xb64_cifar100.py',
}


def fill(key, shape):
    """Make the weight that the reference had under the authors' key."""
    normal = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)
    if key.endswith('num_batches_tracked'):
        return torch.tensor(0)
    if len(shape) == 4:
        normal = normal * np.sqrt(2 / (shape[0] * shape[2] * shape[3]))
    elif len(shape) == 2:
        normal = normal * np.sqrt(1 / shape[1])
    elif key.endswith('running_var'):
        normal = 1 + 0.1 * np.abs(normal)
    elif key.endswith('.weight'):
        normal = 1 + 0.1 * normal
    else:
        normal = 0.1 * normal
    return torch.from_numpy(np.asarray(normal))


def assert_close(ours, reference):
    np.testing.assert_allclose(np.asarray(ours), reference, rtol=RELATIVE)


def assert_logits(logits, reference):
    """``head0`` is the main branch, ``head1`` the side branch forked deepest, ..."""
    assert len(logits) == len(reference) == 3
    for head, z in enumerate(reversed(logits)):
        z, expected = z.detach().numpy(), reference[f'head{head}']
        assert_close(z[:, :4], expected['first'])
        assert_close(np.linalg.norm(z), expected['norm'])
        noise = np.random.default_rng(7).standard_normal(z.shape)
        assert_close((z * noise).sum(), expected['dot'])


@pytest.mark.parametrize(
    'arch',
    [
        # MMPretrain's ResNet and one of our backbones on both stacks.
        arch
        if arch in ('resnet18', 'cifar_resnet32')
        else pytest.param(arch, marks=pytest.mark.one_stack)
        for arch in CONFIGS
    ],
)
def test_parity(arch, build):
    """With the authors' smoothing; and without it, what smoothing moves."""
    reference = json.loads((DATA / f'{arch}.json').read_text())
    keys = json.loads((DATA / f'{arch}.keys.json').read_text())
    model = build(f'dhm/{CONFIGS[arch]}').double()
    criterion = model.head.mimicking_loss
    criterion.temperature = reference['temperature']
    criterion.loss_weight = reference['alpha']
    criterion.eps = reference['eps']
    scale = reference['alpha'] * reference['temperature'] ** 2
    names = official_names(model)
    assert sorted(names.values()) == sorted(keys)
    model.load_state_dict({our: fill(key, keys[key]) for our, key in names.items()})

    batch, size = reference['batch'], reference['image_size']
    images = torch.from_numpy(
        np.random.default_rng(2003).standard_normal((batch, 3, size, size))
    )
    labels = np.random.default_rng(10739).integers(0, reference['num_classes'], batch)
    samples = [DataSample().set_gt_label(int(label)) for label in labels]

    with torch.no_grad():
        assert_logits(model.eval().branch_logits(images), reference['eval_logits'])

    settings = dict(reference['optimizer'])
    assert settings.pop('type') == 'SGD'
    optimizer = torch.optim.SGD(model.parameters(), **settings)
    recorded = []
    criterion.register_forward_pre_hook(lambda _, inputs: recorded.append(inputs[0]))
    model.train()
    assert len(reference['train_steps']) == 3
    for expected in reference['train_steps']:
        optimizer.zero_grad()
        losses = model(images, samples, mode='loss')
        logits = recorded.pop()
        assert_logits(logits, expected['logits'])
        for head, name in enumerate(('main', 'side1', 'side0')):
            assert_close(losses[f'loss_ce_{name}'].item(), expected['ce'][head])
            taught = [
                kl for pair, kl in expected['kl'].items() if pair.endswith(str(head))
            ]
            assert len(taught) == 2
            assert_close(losses[f'loss_mimic_{name}'].item(), sum(taught))
        divergences = criterion.divergences(logits).numpy()
        unsmoothed = MimickingLoss(criterion.temperature).divergences(logits).numpy()
        for pair, kl in expected['kl'].items():
            teacher, student = (2 - int(part[-1]) for part in pair.split('_'))
            assert_close(scale * divergences[teacher, student], kl)
            # Our default takes logarithms of logits: there is nothing to smooth.
            np.testing.assert_allclose(
                scale * unsmoothed[teacher, student], kl, rtol=SMOOTHING
            )
        total, _ = model.parse_losses(losses)
        assert_close(total.item(), expected['total'])
        total.backward()
        if 'grad_norms' in expected:
            grads = {names[our]: p.grad for our, p in model.named_parameters()}
            for key, norm in expected['grad_norms'].items():
                assert_close(grads[key].norm().item(), norm)
            everything = torch.stack([grad.norm() for grad in grads.values()]).norm()
            assert_close(everything.item(), expected['grad_norm_total'])
        optimizer.step()
    assert 'grad_norms' in reference['train_steps'][0]

    with torch.no_grad():
        assert_logits(
            model.eval().branch_logits(images), reference['eval_logits_after_steps']
        )
