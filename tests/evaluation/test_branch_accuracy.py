import pytest
import torch
from mmengine.evaluator import Evaluator
from mmpretrain.evaluation import Accuracy

from dhm_plugin import BranchAccuracy

DIGITS = 'dhm/resnet20_dhm_1xb64_digits.py'


def test_agrees_with_the_stock_metric(predictions):
    evaluator = Evaluator(BranchAccuracy(topk=(1, 5)))
    evaluator.process(predictions)
    ours = evaluator.evaluate(len(predictions))
    logits = torch.stack([sample.branch_logits for sample in predictions], dim=1)
    scores = logits.double().softmax(dim=-1)
    scores = torch.cat([scores, scores.mean(dim=0, keepdim=True)]).log()
    labels = torch.cat([sample.gt_label for sample in predictions])
    names = ('side0', 'side1', 'main', 'ensemble')
    assert set(ours) == {f'branch/{name}_top{k}' for name in names for k in (1, 5)}
    for name, score in zip(names, scores):
        # Logarithms: it rounds to float32. So without the threshold of 0.
        stock = Accuracy.calculate(score, labels, topk=(1, 5), thrs=(None,))
        for k, (expected,) in zip((1, 5), stock):
            assert ours[f'branch/{name}_top{k}'] == pytest.approx(expected.item())
    assert len({round(value, 3) for value in ours.values()}) > 4


def test_the_main_branch_still_predicts(predictions):
    for sample in predictions:
        scores = sample.branch_logits.softmax(dim=-1)
        torch.testing.assert_close(sample.pred_score, scores[-1])


def test_the_mean_as_prediction_has_the_scores_too(build, predictions):
    model = build(DIGITS, **{'model.predict_with': 'ensemble'}).eval()
    (sample,) = model(torch.randn(1, 1, 8, 8), mode='predict')
    scores = sample.branch_logits.softmax(dim=-1)
    torch.testing.assert_close(sample.pred_score, scores.mean(dim=0))
    assert sample.branch_names == predictions[0].branch_names


@pytest.mark.parametrize('topk', [0, (), (1, -1), [1.0], 2.5, True])
def test_refuses_what_is_no_rank(topk):
    with pytest.raises(ValueError, match=r'topk=.*; it must be an integer, at least 1'):
        BranchAccuracy(topk=topk)


def test_too_few_classes(predictions):
    with pytest.raises(ValueError, match=r'topk=\(1, 20\), but there are 10 classes'):
        BranchAccuracy(topk=(1, 20)).process(None, [predictions[0].to_dict()])


def test_ranks_the_small_probabilities_of_half_precision(predictions):
    # All but the first class have a probability that float16 rounds to 0.
    logits = torch.tensor([[30.0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]).repeat(3, 1).half()
    sample = predictions[0].set_gt_label(9).set_pred_score(logits[-1].softmax(dim=-1))
    sample.set_field(logits, 'branch_logits')
    evaluator = Evaluator(BranchAccuracy(topk=(2,)))
    evaluator.process([sample])
    assert set(evaluator.evaluate(1).values()) == {100}


def test_which_accuracies(predictions):
    found = {}
    for topk in ((1, 5), (5, 1), 1, (10,)):
        evaluator = Evaluator(BranchAccuracy(topk=topk))
        evaluator.process(predictions)
        found[topk] = evaluator.evaluate(len(predictions))
    assert found[5, 1] == found[1, 5]
    assert found[1].items() <= found[1, 5].items()
    assert {*found[10,].values()} == {100}


def test_refuses_if_one_sample_has_no_side_branches(predictions):
    samples = [sample.to_dict() for sample in predictions[:2]]
    del samples[1]['branch_logits']
    with pytest.raises(ValueError, match='have no logits of the side branches'):
        BranchAccuracy().process(None, samples)
