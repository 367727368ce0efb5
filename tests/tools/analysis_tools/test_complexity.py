import pytest
from mmengine import Config

from complexity import complexity, training_flops
from paths import ROOT

MAP = ROOT / 'configs/studies/map'


def flops(name):
    cfg = Config.fromfile(MAP / f'resnet8{name}_1xb64_fmnist.py')
    return training_flops(cfg, (1, 28, 28))


def test_a_training_step_is_counted_forward_and_backward():
    # Convolutions: maps of 28x28, 14x14 and 7x7, channels 16, 32 and 64; then a product.
    first = 28**2 * 9 * 16
    stages = (
        28**2 * 9 * (16 * 16 * 2)
        + 14**2 * 9 * (16 * 32 + 32 * 32)
        + 7**2 * 9 * (32 * 64 + 64 * 64)
    )
    # Forward, gradient of the weights, gradient of the input, which the images need not.
    assert flops('') == 2 * (3 * (first + stages + 64 * 10) - first)


def test_a_branch_counts_as_often_as_it_is_forked():
    plain, dhm = flops(''), flops('_dhm')
    side0 = 14**2 * 9 * (16 * 32 + 32 * 32) + 7**2 * 9 * (32 * 64 + 64 * 64) + 64 * 10
    side1 = 7**2 * 9 * (32 * 128 + 128 * 128) + 128 * 10
    assert dhm - plain == 6 * (side0 + side1)
    assert flops('_dsl') == flops('_dhm-main-teaches') == dhm
    assert flops('_dhm-fork0.5') == pytest.approx((plain + dhm) / 2)
    # In half of the iterations.
    assert flops('_dhm-early') == flops('_dhm-late') == flops('_dhm-fork0.5')
    assert flops('_dhm-ramp') == dhm


def test_attention_is_counted(tmp_path):
    """Seen: a seventh of DeiT's FLOPs were missing."""
    config = tmp_path / 'deit.py'
    config.write_text("_base_ = 'mmpretrain::deit/deit-tiny_4xb256_in1k.py'")
    cfg = Config.fromfile(config)
    network, _ = complexity(cfg, (3, 224, 224))
    # MMPretrain's metafile.
    assert network.flops == pytest.approx(1_258_219_200, rel=1e-3)
    # 12 blocks of 192 channels and 3 heads, of 14 x 14 patches and the class token.
    tokens = 14 * 14 + 1
    attention = 2 * tokens**2 * 192
    linear = tokens * (4 + 8) * 192**2
    patches = 14 * 14 * 16 * 16 * 3 * 192
    forward = patches + 12 * (attention + linear) + 192 * 1000
    assert training_flops(cfg, (3, 224, 224)) == 2 * (3 * forward - patches)


@pytest.mark.parametrize('key', ['custom_hooks', 'default_hooks'])
def test_hooks_may_be_none(key):
    cfg = Config.fromfile(MAP / 'resnet8_dhm_1xb64_fmnist.py')
    cfg[key] = None
    assert training_flops(cfg, (1, 28, 28)) == flops('_dhm')


def test_a_side_branch_of_a_plain_config_counts_as_often_too():
    cfg = Config.fromfile(MAP / 'resnet8_1xb64_fmnist.py')
    plain = training_flops(cfg, (1, 28, 28))
    cfg.model.type = 'DHMClassifier'
    branches = [dict(fork=fork) for fork in ('layer1', 'layer2')]
    always = []
    for branch in branches:
        cfg.model.side_branches = [branch]
        always.append(training_flops(cfg, (1, 28, 28)) - plain)
    cfg.model.side_branches = [dict(branch, fork_prob=0.5) for branch in branches]
    half = training_flops(cfg, (1, 28, 28)) - plain
    assert min(always) > 0
    assert half == pytest.approx(sum(always) / 2)
