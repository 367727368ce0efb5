"""What only a GPU can show; skipped where there is none."""

import json
import subprocess
import sys

import pytest
import torch
from mmengine.optim import AmpOptimWrapper
from mmpretrain.structures import DataSample
from paths import ROOT

from dhm_plugin import MimickingLoss

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no GPU')


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_mimicking_loss_is_the_cpus(dtype):
    cpu = [torch.randn(64, 1000, dtype=dtype, requires_grad=True) for _ in range(3)]
    gpu = [z.detach().cuda().requires_grad_() for z in cpu]
    losses = MimickingLoss()(cpu), MimickingLoss()(gpu)
    torch.testing.assert_close(losses[0], losses[1].cpu(), rtol=1e-4, atol=1e-5)
    gradients = [
        torch.autograd.grad(loss.sum(), z) for loss, z in zip(losses, (cpu, gpu))
    ]
    for ours, reference in zip(gradients[1], gradients[0]):
        torch.testing.assert_close(ours.cpu(), reference, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_mixed_precision_trains(dtype, build):
    model = build('dhm/resnet18_dhm_8xb32_in1k.py').cuda()
    images = torch.randn(8, 3, 64, 64, device='cuda')
    samples = [DataSample().set_gt_label(i).to('cuda') for i in range(8)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    wrapper = AmpOptimWrapper(optimizer=optimizer, dtype=dtype)
    totals = []
    for _ in range(10):
        with wrapper.optim_context(model):
            losses = model(images, samples, mode='loss')
        assert all(loss.dtype == torch.float32 for loss in losses.values())
        total, _ = model.parse_losses(losses)
        totals.append(total.item())
        wrapper.update_params(total)
    assert totals[-1] < totals[0]


def test_train_with_amp(tool_env, tmp_path):
    config = ROOT / 'configs/dhm/resnet20_dhm_1xb64_digits.py'
    command = [sys.executable, ROOT / 'tools/train.py', config, '--amp']
    options = ['--work-dir', tmp_path, '--cfg-options', 'train_cfg.max_epochs=3']
    subprocess.run([*command, *options], env=tool_env, check=True)
    (path,) = tmp_path.glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    losses = [row['loss'] for row in rows if 'loss' in row]
    assert losses[-1] < losses[0]
    assert any(row.get('memory', 0) > 0 for row in rows)
