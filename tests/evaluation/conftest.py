import pytest
import torch
from mmpretrain.structures import DataSample

DIGITS = 'dhm/resnet20_dhm_1xb64_digits.py'


@pytest.fixture
def predictions(build):
    """What a DHM network predicts of random images, some of them right."""
    model = build(DIGITS, **{'model.neck.eval_branches': True}).eval()
    for fc in (*model.head.side_fcs, model.head.fc):
        torch.nn.init.normal_(fc.weight, std=3.0)
    samples = [DataSample().set_gt_label(i % 10) for i in range(200)]
    with torch.no_grad():
        return model(torch.randn(200, 1, 8, 8), samples, mode='predict')
