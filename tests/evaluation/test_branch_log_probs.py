import pytest
import torch
from mmpretrain.models import AverageClsScoreTTA
from mmpretrain.structures import DataSample

from dhm_plugin import BranchAccuracy, BranchDivergences, Calibration
from dhm_plugin.models.classifiers.predictions import predictions

DIGITS = 'dhm/resnet20_dhm_1xb64_digits.py'


@pytest.mark.parametrize('metric', [BranchAccuracy, BranchDivergences])
def test_needs_the_side_branches(metric, build):
    model = build(DIGITS).eval()
    samples = model(torch.randn(2, 1, 8, 8), mode='predict')
    assert 'branch_logits' not in samples[0]
    message = (
        rf'{metric.__name__}: .* set model\.eval_branches=True, or beside a '
        r'SideBranchNeck model\.neck\.eval_branches=True'
    )
    with pytest.raises(ValueError, match=message):
        metric().process(None, [sample.to_dict() for sample in samples])


@pytest.mark.parametrize('metric', [BranchAccuracy, BranchDivergences, Calibration])
@pytest.mark.parametrize('predict_with', ['main', 'ensemble'])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_refuses_the_merged_scores_of_several_views(metric, predict_with, dtype, build):
    views = []
    for _ in range(2):
        logits = torch.randn(3, 8, 10).to(dtype)
        mean = logits.log_softmax(dim=-1).logsumexp(dim=0)
        samples = [DataSample().set_gt_label(0) for _ in range(8)]
        by_name = dict(zip(('side0', 'side1', 'main'), logits))
        predicting = logits[-1] if predict_with == 'main' else mean
        views.append(predictions(predicting, by_name, samples))
    one, both = (
        AverageClsScoreTTA(build(DIGITS)).merge_preds([*zip(*some)])
        for some in (views[:1], views)
    )
    metric().process(None, [sample.to_dict() for sample in one])
    message = f'{metric.__name__}: .* leave out --tta or this metric'
    with pytest.raises(ValueError, match=message):
        metric().process(None, [sample.to_dict() for sample in both])
