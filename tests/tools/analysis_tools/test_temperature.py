"""The temperature; a whole study is measured with it in test_compare_study.py."""

import pytest
import torch

from temperature import best_temperature, measure, scaled


@pytest.fixture(scope='module')
def sharp():
    """Logits that are 2.5 times those from whose probabilities the labels are drawn."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20000, 5, generator=generator, dtype=torch.float64)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)
    return (2.5 * logits).log_softmax(1), labels


def test_finds_the_temperature(sharp):
    found = best_temperature(*sharp)
    assert found == pytest.approx(2.5, rel=0.03)
    losses = {
        temperature: measure(scaled(sharp[0], temperature), sharp[1])['nll_main']
        for temperature in (found, *torch.linspace(2, 3, 21).tolist())
    }
    assert min(losses, key=losses.get) == found


def test_it_mends_the_calibration_and_changes_no_prediction(sharp):
    log_probs, labels = sharp
    mended = scaled(log_probs, best_temperature(*sharp))
    assert torch.equal(mended.argmax(1), log_probs.argmax(1))
    assert measure(log_probs, labels)['ece_main'] > 10
    assert measure(mended, labels)['ece_main'] < 2
