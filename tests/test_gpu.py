"""What a GPU must show. What needs one is skipped where there is none; the rest runs on
the CPU there, so that it does not go stale."""

import json
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch
from mmengine import Config
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import Runner
from mmpretrain.structures import DataSample

from benchmarks.step import REFERENCE, Step, switches
from benchmarks.synthetic import write_jpegs
from dhm_plugin import (
    BatchPreprocessor,
    BFloat16OptimWrapper,
    BranchAccuracy,
    CropFlipPreprocessor,
    DaliPreprocessor,
    InMemoryDataset,
    MimickingLoss,
)
from dhm_plugin.engine.consistency import measure
from paths import ROOT

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
needs_gpu = pytest.mark.skipif(DEVICE == 'cpu', reason='there is no GPU')


@contextmanager
def nothing_waits():
    """Let each wait for the GPU be an error."""
    torch.cuda.set_sync_debug_mode('error')
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode('default')


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_mimicking_loss_is_the_cpus(dtype):
    cpu = [torch.randn(64, 1000, dtype=dtype, requires_grad=True) for _ in range(3)]
    gpu = [z.detach().to(DEVICE).requires_grad_() for z in cpu]
    losses = MimickingLoss()(cpu), MimickingLoss()(gpu)
    torch.testing.assert_close(losses[0], losses[1].cpu(), rtol=1e-4, atol=1e-5)
    gradients = [
        torch.autograd.grad(loss.sum(), z) for loss, z in zip(losses, (cpu, gpu))
    ]
    for ours, reference in zip(gradients[1], gradients[0]):
        torch.testing.assert_close(ours.cpu(), reference, rtol=1e-4, atol=1e-7)


def test_consistency_is_the_cpus(build):
    model = build('dhm/resnet20_dhm_1xb64_digits.py').double().train()
    images = torch.randn(16, 1, 8, 8, dtype=torch.float64)
    measured = []
    for device in ('cpu', DEVICE):
        sample = DataSample().set_gt_label(torch.arange(16) % 10).to(device)
        measured.append(measure(model.to(device), images.to(device), [sample]))
    assert measured[1] == pytest.approx(measured[0], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize('predict_with', ['main', 'side0', 'ensemble'])
def test_predicts_as_the_cpu(predict_with, build):
    options = {'model.predict_with': predict_with, 'model.neck.eval_branches': True}
    model = build('dhm/resnet20_dhm_1xb64_digits.py', **options).double().eval()
    images = torch.randn(16, 1, 8, 8, dtype=torch.float64)
    scores = []
    for device in ('cpu', DEVICE):
        samples = [DataSample().set_gt_label(i % 10).to(device) for i in range(16)]
        with torch.no_grad():
            samples = model.to(device)(images.to(device), samples, mode='predict')
        scores.append(torch.stack([sample.pred_score.cpu() for sample in samples]))
        if predict_with != 'side0':
            metric = BranchAccuracy()
            metric.process(None, [sample.to_dict() for sample in samples])
            assert len(metric.results) == 16
    torch.testing.assert_close(scores[1], scores[0])


@needs_gpu
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


@needs_gpu
def test_train_with_amp(tool_env, tmp_path):
    config = tmp_path / 'scaled.py'
    # Its first steps are skipped.
    config.write_text(
        f"_base_ = '{ROOT}/configs/dhm/resnet20_dhm_1xb64_digits.py'\n"
        'optim_wrapper = dict(loss_scale=dict(init_scale=2.0**24))\n'
        'train_cfg = dict(max_epochs=3)\n'
    )
    command = [sys.executable, ROOT / 'tools/train.py', config, '--amp']
    subprocess.run([*command, '--work-dir', tmp_path], env=tool_env, check=True)
    (path,) = tmp_path.glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    losses = [row['loss'] for row in rows if 'loss' in row]
    assert losses[-1] < losses[0]
    assert any(row.get('memory', 0) > 0 for row in rows)


@needs_gpu
def test_every_switch_trains_as_the_reference():
    cfg = Config.fromfile(ROOT / 'configs/dhm/resnet20_dhm_1xb64_digits.py')
    losses = {}
    for name, settings in switches().items():
        torch.compiler.reset()
        step = Step(cfg, 64, *settings)
        for _ in range(5):
            step()
        with torch.no_grad():
            values = step.network(step.images, step.samples, mode='loss')
        losses[name] = sum(value.item() for value in values.values())
    for name, loss in losses.items():
        assert loss == pytest.approx(losses[REFERENCE], rel=0.05), name


@needs_gpu
def test_small_images_stay_on_the_gpu():
    digits = InMemoryDataset(dict(type='Digits', split='train'))
    assert digits.images.is_cuda
    preprocessor = CropFlipPreprocessor(crop_size=8, padding=1).cuda()
    with nothing_waits():
        (batch,) = digits.__getitems__(list(range(64)))
        data = dict(inputs=[batch['inputs']], data_samples=[batch['data_samples']])
        batch = preprocessor(data, training=True)
    assert batch['inputs'].is_cuda
    assert batch['data_samples'][0].gt_label.is_cuda


@needs_gpu
def test_no_copy_of_a_batch_waits():
    preprocessor = BatchPreprocessor(mean=[1.0, 2.0, 3.0], std=[1.0] * 3).cuda()
    images = torch.zeros(8, 3, 32, 32, dtype=torch.uint8).pin_memory()
    samples = [DataSample().set_gt_label(i) for i in range(8)]
    with nothing_waits():
        batch = preprocessor(dict(inputs=images, data_samples=samples), training=True)
    assert batch['inputs'].is_cuda
    assert [int(sample.gt_label) for sample in batch['data_samples']] == list(range(8))


@needs_gpu
def test_dali_decodes_on_the_gpu_what_it_does_on_the_cpu(tmp_path):
    """But for the colours between pixels, which it interpolates otherwise."""
    pytest.importorskip('nvidia.dali', reason="pip install 'dhm_plugin[dali]'")
    write_jpegs(tmp_path, 40)
    cfg = Config.fromfile(ROOT / 'configs/_base_/datasets/imagenet_bs32_dali.py')
    loader = dict(cfg.train_dataloader, collate_fn=dict(type='default_collate'))
    loader['dataset']['data_root'] = str(tmp_path)
    preprocessors = {d: DaliPreprocessor(device=d).cuda() for d in ('cpu', 'gpu')}
    for batch in Runner.build_dataloader(loader, seed=0):
        ahead = {d: p.prefetch(batch) for d, p in preprocessors.items()}
        images = {d: p(ahead[d])['inputs'] for d, p in preprocessors.items()}
        assert all(each.is_cuda for each in images.values())
        difference = (images['cpu'] - images['gpu']).abs()
        assert difference.mean(dim=(1, 2, 3)).max() < 2


@needs_gpu
def test_a_step_waits_for_nothing():
    cfg = Config.fromfile(ROOT / 'configs/dhm/resnet20_dhm_1xb64_digits.py')
    step = Step(cfg, 64, *switches()['together'])
    assert isinstance(step.wrapper, BFloat16OptimWrapper)
    step()
    with nothing_waits():
        step()
