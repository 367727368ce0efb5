"""The configs of the ImageNet table, against the paper's numbers of blocks and recipe."""

import numpy as np
import pytest
import torch
from mmengine import Config
from mmengine.dataset import Compose, default_collate
from mmengine.optim import MultiStepLR
from mmpretrain.registry import MODELS, TRANSFORMS
from mmpretrain.structures import DataSample
from PIL import Image
from torchvision import transforms

from dhm_plugin.checkpoints.official import build_without_weights
from paths import ROOT

CONFIGS = ROOT / 'configs'
# Number of blocks: forked after stage 2, two stages; forked after stage 3, one stage.
BLOCKS = {18: (1, 2, 2), 34: (3, 2, 3), 50: (3, 2, 3), 101: (12, 2, 3), 152: (18, 2, 3)}


def path_of(depth, method):
    name = f'resnet{depth}_{method}_8xb32_in1k.py'.replace('plain_', '')
    return CONFIGS / method / name


@pytest.mark.parametrize('method', ['dsl', 'dhm'])
@pytest.mark.one_stack
@pytest.mark.parametrize('depth', BLOCKS)
def test_side_branches(depth, method):
    model = build_without_weights(path_of(depth, method), 1000)
    deep, shallow = model.neck.branches[1], model.neck.branches[0]
    assert tuple(map(len, [*shallow, *deep])) == BLOCKS[depth]
    expansion = 1 if depth < 50 else 4
    channels = [(stage.in_channels, stage.out_channels) for stage in [*shallow, *deep]]
    expected = [(128, 256), (256, 512), (256, 1024)]
    assert channels == [(a * expansion, b * expansion) for a, b in expected]
    assert model.backbone.out_indices == (1, 2, 3)
    assert model.neck.forks == [0, 1]
    assert (model.head.mimicking_loss is not None) == (method == 'dhm')
    if method == 'dhm':
        assert model.head.mimicking_loss.temperature == 1.0
        assert model.head.mimicking_loss.loss_weight == 1.0


@pytest.mark.one_stack
@pytest.mark.parametrize('method', ['plain', 'dsl', 'dhm'])
@pytest.mark.parametrize('depth', BLOCKS)
def test_recipe(depth, method):
    cfg = Config.fromfile(path_of(depth, method))
    assert cfg.train_dataloader.batch_size * 8 == 256
    assert cfg.auto_scale_lr.base_batch_size == 256
    assert cfg.train_cfg.max_epochs == 90
    optimizer = dict(cfg.optim_wrapper.optimizer)
    assert optimizer.pop('fused')
    assert optimizer == dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4)
    sgd = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    scheduler = dict(cfg.param_scheduler)
    assert scheduler.pop('type') == 'MultiStepLR'
    scheduler = MultiStepLR(sgd, **scheduler)
    rates = []
    for _ in range(90):
        rates.append(sgd.param_groups[0]['lr'])
        scheduler.step()
    np.testing.assert_allclose(rates, [0.1] * 31 + [0.01] * 30 + [0.001] * 29)


@pytest.mark.parametrize('depth', BLOCKS)
def test_a_method_changes_the_model_alone(depth):
    plain, dsl, dhm = (
        Config.fromfile(path_of(depth, m)).to_dict() for m in ('plain', 'dsl', 'dhm')
    )
    assert {key for key in plain if plain[key] != dsl[key]} == {'model'}
    assert {key for key in plain if plain[key] != dhm[key]} == {'model'}
    assert dhm['model']['head'].pop('mimicking_loss') == dict(type='MimickingLoss')
    assert dsl['model']['head'].pop('mimicking_loss') is None
    assert dhm == dsl


@pytest.mark.parametrize('method', ['plain', 'dsl', 'dhm'])
@pytest.mark.parametrize(
    'depth',
    # The deeper ones have more of the blocks of 50.
    [
        pytest.param(depth, marks=pytest.mark.one_stack) if depth > 50 else depth
        for depth in BLOCKS
    ],
)
def test_trains_a_step(depth, method):
    model = MODELS.build(Config.fromfile(path_of(depth, method)).model)
    samples = [DataSample().set_gt_label(i) for i in range(2)]
    losses = model(torch.randn(2, 3, 32, 32), samples, mode='loss')
    assert len(losses) == {'plain': 1, 'dsl': 3, 'dhm': 6}[method]
    model.parse_losses(losses)[0].backward()
    assert all(p.grad is not None for p in model.parameters())


def test_validation_images_are_torchvisions(tmp_path):
    """Short edge to 256, centre crop of 224, PIL bilinear, the usual normalisation."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 41, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((410, 300), Image.BICUBIC)
    path = tmp_path / 'image.jpg'
    image.save(path)
    cfg = Config.fromfile(path_of(18, 'plain'))
    pipeline = Compose(
        [TRANSFORMS.build(step) for step in cfg.val_dataloader.dataset.pipeline]
    )
    preprocessor = MODELS.build(cfg.data_preprocessor)
    data = default_collate([pipeline(dict(img_path=str(path), gt_label=0))])
    ours = preprocessor(data)['inputs'][0]
    reference = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )(Image.open(path))
    torch.testing.assert_close(ours, reference, rtol=0, atol=1e-5)


@pytest.mark.one_stack
def test_packed_images_change_nothing_but_the_data_set(tmp_path):
    for path in (path_of(depth, m) for depth in BLOCKS for m in ('plain', 'dhm')):
        stock = Config.fromfile(path)
        text = path.read_text().replace('imagenet_bs32.py', 'imagenet_bs32_packed.py')
        (tmp_path / path.name).write_text(text.replace('../', f'{CONFIGS}/'))
        packed = Config.fromfile(tmp_path / path.name)
        for name in ('train', 'val', 'test'):
            dataset = packed[f'{name}_dataloader'].dataset
            assert dataset.type == 'PackedImageNet'
            assert dataset.data_root == 'data/imagenet/packed'
            dataset.update(type='ImageNet', data_root='data/imagenet')
        assert packed.to_dict() == stock.to_dict()
