import pytest
import torch

from dhm_plugin import BranchAccuracy, BranchDivergences

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
