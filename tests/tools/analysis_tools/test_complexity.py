import pytest
from mmengine import Config

from complexity import training_flops
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
