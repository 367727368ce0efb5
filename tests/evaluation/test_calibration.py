import math

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmpretrain.structures import DataSample

from dhm_plugin import Calibration

DIGITS = 'dhm/resnet20_dhm_1xb64_digits.py'


@pytest.fixture
def predictions(predictions):
    """Spread over all bins, and right where they are least sure."""
    for sample in predictions:
        sample.set_field(sample.branch_logits / 40, 'branch_logits')
        sample.set_pred_score(sample.branch_logits[-1].softmax(dim=-1))
        if sample.pred_score.max() < 0.6:
            sample.set_gt_label(sample.pred_label)
    return predictions


def evaluate(predictions, batch_size=64, metric=None):
    evaluator = Evaluator(metric or Calibration())
    for start in range(0, len(predictions), batch_size):
        evaluator.process(predictions[start : start + batch_size])
    return evaluator.evaluate(len(predictions))


def error(probabilities, labels, bins=15):
    """The expected calibration error, in percent: a loop over bins and images."""
    total = 0.0
    for number in range(bins):
        inside = []
        for probs, label in zip(probabilities, labels):
            confidence = max(probs)
            if number / bins < confidence <= (number + 1) / bins:
                inside.append((confidence, probs.index(confidence) == label))
        if inside:
            accuracy = sum(right for _, right in inside) / len(inside)
            confidence = sum(each for each, _ in inside) / len(inside)
            total += len(inside) / len(labels) * abs(accuracy - confidence)
    return 100 * total


def test_agrees_with_a_loop_over_bins_and_images(predictions):
    labels = [int(sample.gt_label) for sample in predictions]
    probs = torch.stack([s.branch_logits for s in predictions]).double().softmax(dim=-1)
    expected = {}
    for name, of_branch in zip(
        ('side0', 'side1', 'main', 'ensemble'), (*probs.unbind(1), probs.mean(dim=1))
    ):
        of_branch = of_branch.tolist()
        nll = sum(-math.log(p[label]) for p, label in zip(of_branch, labels))
        expected[f'calibration/nll_{name}'] = nll / len(labels)
        expected[f'calibration/ece_{name}'] = error(of_branch, labels)
    assert min(expected.values()) > 1
    for batch_size in (200, 64):
        assert evaluate(predictions, batch_size) == pytest.approx(expected, rel=1e-9)
    few = evaluate(predictions, metric=Calibration(bins=3))['calibration/ece_main']
    assert few == pytest.approx(error(probs[:, 2].tolist(), labels, bins=3))
    assert few != pytest.approx(expected['calibration/ece_main'])


def test_a_network_without_side_branches_has_the_main_branch(predictions):
    expected = evaluate(predictions)
    for sample in predictions:
        del sample.branch_logits, sample.branch_names
    found = evaluate(predictions)
    assert found.keys() == {'calibration/nll_main', 'calibration/ece_main'}
    for name, value in found.items():
        assert value == pytest.approx(expected[name], rel=1e-5)


@pytest.mark.parametrize('predict_with', ['side1', 'main'])
def test_what_one_branch_predicts_has_its_name(predict_with, build):
    model = build(DIGITS, **{'model.predict_with': predict_with}).eval()
    samples = [DataSample().set_gt_label(0) for _ in range(2)]
    with torch.no_grad():
        found = evaluate(model(torch.randn(2, 1, 8, 8), samples, mode='predict'))
    names = {f'calibration/{metric}_{predict_with}' for metric in ('nll', 'ece')}
    assert found.keys() == names


def test_the_bounds_of_bins():
    samples = []
    # Sure and right; sure and wrong, with a probability of 0; on the bound of two bins.
    for label, probs in ((0, [1, 0]), (1, [1, 0]), (0, [0.6, 0.4]), (0, [0.601, 0.399])):
        sample = DataSample().set_gt_label(label).set_pred_score(torch.tensor(probs))
        samples.append(sample)
    found = evaluate(samples, metric=Calibration(bins=5))
    # Each of the two in the middle is alone in its bin.
    gaps = (1 + 0 - 2 * 1.0, 1 - 0.6, 1 - 0.601)
    expected = 100 * sum(map(abs, gaps)) / 4
    assert found['calibration/ece_main'] == pytest.approx(expected, rel=1e-4)
    assert 80 / 4 < found['calibration/nll_main'] < 100 / 4


@pytest.mark.parametrize('bins', [0, 2.5, True, '15'])
def test_refuses_no_bins(bins):
    expected = f'Calibration: bins={bins!r}; it must be an integer, at least 1'
    with pytest.raises(ValueError, match=expected):
        Calibration(bins=bins)


def test_a_bound_is_in_the_bin_below():
    samples = [
        DataSample().set_gt_label(label).set_pred_score(torch.tensor(scores))
        for label, scores in ((1, [0.5, 0.5]), (0, [0.75, 0.25]))
    ]
    found = evaluate(samples, metric=Calibration(bins=2))
    assert found['calibration/ece_main'] == pytest.approx(100 * (0.5 + 0.25) / 2)


def test_nan_stays():
    sample = DataSample().set_gt_label(0).set_pred_score(torch.full((2,), math.nan))
    assert math.isnan(evaluate([sample])['calibration/ece_main'])
