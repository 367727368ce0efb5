"""Export to every format, run by the programs themselves."""

import json
import os
import sys

import onnx
import pytest
import timm
import torch
import torchvision
from mmengine import Config
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from safetensors.torch import load_file
from torch import nn

from dhm_plugin.checkpoints import CheckpointError, read_state_dict
from dhm_plugin.checkpoints.export import FORMATS, export
from dhm_plugin.checkpoints.export import export as export_function
from dhm_plugin.checkpoints.export.to_onnx import preprocessing, run_onnx
from dhm_plugin.checkpoints.export.trained import TrainedNetwork
from families import config_of, plain_config_of
from paths import ROOT, full_disk

CONFIGS = ROOT / 'configs'
DHM = CONFIGS / 'dhm/resnet18_dhm_8xb32_in1k.py'
# A network of each kind of block, with its least depth and the channels at its end: the
# others have more or wider blocks, write hundreds of megabytes, and trace for long.
CIFAR = {
    'resnet32': (8, 64),
    'wrn16-8': (10, 512),
    'densenet40-12': (7, 52),
    'densenet-bc100-12': (10, 27),
}
SMALL = CONFIGS / 'dhm/resnet20_dhm_1xb64_digits.py'


def settle(model):
    """Give every norm layer statistics and weights of its own."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


@pytest.fixture(scope='module')
def trained(build, tmp_path_factory):
    """A ResNet-18's checkpoint, its logits on some images, and the images."""
    model = settle(build('dhm/resnet18_dhm_8xb32_in1k.py'))
    path = tmp_path_factory.mktemp('trained') / 'trained.pth'
    meta = dict(epoch=90, cfg='...', dataset_meta=dict(classes=('tench', 'goldfish')))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        return path, model(images), images


@pytest.fixture
def small(build, tmp_path):
    """A small network's checkpoint."""
    model = settle(build('dhm/resnet20_dhm_1xb64_digits.py'))
    path = tmp_path / 'small.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict()), path)
    return path


def only_file(folder, name):
    assert sorted(os.listdir(folder)) == [name]


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_mmpretrain(trained, build, tmp_path, suffix):
    path, logits, images = trained
    out = tmp_path / 'out' / f'plain{suffix}'
    number, difference = export(DHM, path, out, 'mmpretrain')
    assert number == 4
    assert difference == 0
    only_file(out.parent, out.name)
    if suffix == '.pth':
        content = torch.load(out, weights_only=True)
        assert set(content['meta']) == {'epoch', 'dataset_meta'}
        weights = content['state_dict']
    else:
        weights = load_file(out)
    stock = build('plain/resnet18_8xb32_in1k.py')
    stock.load_state_dict(weights)
    assert torch.equal(stock.eval()(images), logits)


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize(
    ('to', 'create'),
    [('torchvision', torchvision.models.resnet18), ('timm', timm.models.resnet18)],
)
def test_torchvision_and_timm(trained, tmp_path, suffix, to, create):
    path, logits, images = trained
    out = tmp_path / f'{to}{suffix}'
    export(DHM, path, out, to)
    weights = torch.load(out, weights_only=True) if suffix == '.pth' else load_file(out)
    network = create()
    network.load_state_dict(weights, strict=True)
    torch.testing.assert_close(network.eval()(images), logits, rtol=1e-5, atol=1e-6)


@pytest.mark.one_stack
def test_bottlenecks(build, tmp_path):
    """Of ResNet-50: the deeper ones have more of them, ResNet-34 has 18's blocks."""
    model = settle(build('plain/resnet50_8xb32_in1k.py'))
    torch.save(model.state_dict(), tmp_path / 'src.pth')
    config = CONFIGS / 'plain/resnet50_8xb32_in1k.py'
    for to in ('torchvision', 'timm'):
        export(config, tmp_path / 'src.pth', tmp_path / f'{to}.pth', to)


@pytest.mark.one_stack
def test_onnx(trained, tmp_path):
    path, logits, images = trained
    out = tmp_path / 'out' / 'resnet18.onnx'
    export(DHM, path, out, 'onnx')
    only_file(out.parent, out.name)
    for number in (1, 2):
        torch.testing.assert_close(
            run_onnx(out, images[:number]), logits[:number], rtol=1e-4, atol=1e-5
        )
    metadata = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    assert json.loads(metadata['mean']) == [123.675, 116.28, 103.53]
    assert json.loads(metadata['std']) == [58.395, 57.12, 57.375]
    assert metadata['channel_order'] == 'RGB'
    assert json.loads(metadata['image_size']) == [224, 224]
    assert json.loads(metadata['classes']) == ['tench', 'goldfish']


def metadata_of(cfg, shape=(3, 224, 224)):
    return preprocessing(TrainedNetwork(torch.nn.Identity(), cfg, {}, shape))


@pytest.mark.parametrize('data', ['imagenet_bs32', 'imagenet_bs32_dali'])
def test_the_order_of_channels_is_the_networks(data):
    cfg = Config.fromfile(DHM)
    cfg.merge_from_dict(Config.fromfile(CONFIGS / f'_base_/datasets/{data}.py').to_dict())
    assert metadata_of(cfg)['channel_order'] == 'RGB'
    cfg.data_preprocessor.to_rgb = False
    assert metadata_of(cfg)['channel_order'] == 'BGR'


def test_the_order_of_channels_without_test_images():
    cfg = Config.fromfile(DHM)
    cfg.test_dataloader = None
    assert metadata_of(cfg)['channel_order'] == 'RGB'


def test_refuses_a_transform_that_is_not_registered():
    cfg = Config.fromfile(DHM)
    cfg.test_dataloader.dataset.pipeline[0].type = 'LoadMine'
    with pytest.raises(CheckpointError, match='transform LoadMine is not registered'):
        metadata_of(cfg)


def test_the_height_of_an_image_comes_first():
    assert metadata_of(Config.fromfile(DHM), (3, 224, 192))['image_size'] == '[224, 192]'


@pytest.mark.one_stack
def test_onnx_of_grey_images(small, tmp_path):
    out = tmp_path / 'small.onnx'
    export(SMALL, small, out, 'onnx')
    metadata = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    assert metadata['channel_order'] == 'L'
    assert json.loads(metadata['image_size']) == [8, 8]


@pytest.mark.one_stack
@pytest.mark.no_cover  # what a trace runs is slow to follow
@pytest.mark.parametrize('arch', CIFAR)
def test_cifar(arch, build, tmp_path):
    batch = 64 if 'densenet' in arch else 128
    depth, channels = CIFAR[arch]
    config = tmp_path / 'small.py'
    config.write_text(f"""
_base_ = '{CONFIGS}/plain/{arch}_1xb{batch}_cifar10.py'
model = dict(backbone=dict(depth={depth}), head=dict(in_channels={channels}))
""")
    model = build(config)
    torch.save(settle(model).state_dict(), tmp_path / 'src.pth')
    for to, name in (('mmpretrain', 'out.pth'), ('onnx', 'out.onnx')):
        export(config, tmp_path / 'src.pth', tmp_path / name, to)
        assert (tmp_path / name).is_file()


def test_a_stripped_checkpoint_and_the_plain_config(small, build, tmp_path):
    weights, _ = read_state_dict(small)
    plain = {k: v for k, v in weights.items() if 'branches' not in k and 'side' not in k}
    torch.save(plain, tmp_path / 'plain.pth')
    for config in (SMALL, CONFIGS / 'plain/resnet20_1xb64_digits.py'):
        export(config, tmp_path / 'plain.pth', tmp_path / 'out.pth', 'mmpretrain')


@pytest.mark.parametrize('to', FORMATS)
def test_refuses_other_suffixes(to, small, tmp_path):
    out = tmp_path / ('out.pth' if to == 'onnx' else 'out.onnx')
    with pytest.raises(CheckpointError, match=f'{to} is not written to a {out.suffix}'):
        export(SMALL, small, out, to)
    assert not out.exists()


def refuses(tmp_path, message, config, checkpoint, to='mmpretrain', suffix='.pth'):
    out = tmp_path / 'refused' / f'out{suffix}'
    with pytest.raises(CheckpointError, match=message):
        export(config, checkpoint, out, to)
    assert not out.parent.exists() or os.listdir(out.parent) == []


def test_refuses_what_does_not_fit(small, trained, tmp_path):
    refuses(tmp_path, 'has 1000 classes, but the config has 10; set', SMALL, trained[0])
    deeper = tmp_path / 'deeper.py'
    deeper.write_text(f"_base_ = '{SMALL}'\nmodel = dict(backbone=dict(depth=26))")
    message = r'another network .*: 36 weights differ, .*layer1.3.conv1.weight is missing'
    refuses(tmp_path, message, deeper, small)
    refuses(tmp_path, 'not this CIFARResNet', SMALL, small, 'timm')


def test_refuses_a_width_that_the_format_has_not(tmp_path):
    config = CONFIGS / 'studies/families/resnet18-w32_1xb64_fmnist.py'
    model = MODELS.build(Config.fromfile(config).model)
    torch.save(model.state_dict(), tmp_path / 'narrow.pth')
    message = (
        r'has other weights: 101 weights differ, the first: conv1.weight is \(32, 1, 7, 7'
    )
    refuses(tmp_path, message, config, tmp_path / 'narrow.pth', 'torchvision')


def test_refuses_ema_without_ema(small, tmp_path):
    config = tmp_path / 'ema.py'
    weights, _ = read_state_dict(small)
    trained = tmp_path / 'trained.pth'
    torch.save(dict(state_dict=weights, message_hub={}), trained)
    hook = "dict(type='EMAHook')"
    for hooks in (f'default_hooks = dict(ema={hook})', f'custom_hooks = [{hook}]'):
        config.write_text(f"_base_ = '{SMALL}'\n{hooks}")
        refuses(tmp_path, r'has no EMA weights \(ema_state_dict\)', config, trained)
    # A stripped or exported one has the averaged weights as its own.
    export(config, small, tmp_path / 'out.pth', 'mmpretrain')
    # MMEngine's default, with which a config may drop the hooks of its base.
    config.write_text(f"_base_ = '{SMALL}'\ncustom_hooks = None")
    export(config, trained, tmp_path / 'out.safetensors', 'mmpretrain')


def test_a_classifier_of_timms(tmp_path):
    config = tmp_path / 'timm.py'
    model = dict(type='TimmClassifier', model_name='resnet18', loss={}, num_classes=4)
    config.write_text(
        f"_base_ = '{CONFIGS}/_base_/datasets/imagenet_bs32.py'\nmodel = {model}\n"
        'model["loss"] = dict(type="CrossEntropyLoss")'
    )
    cfg = Config.fromfile(config)
    torch.save(MODELS.build(cfg.model).state_dict(), tmp_path / 'src.pth')
    for to in ('mmpretrain', 'torchvision', 'timm'):
        message = 'a TimmClassifier is exported to onnx alone'
        refuses(tmp_path, message, config, tmp_path / 'src.pth', to)


@pytest.mark.parametrize(('to', 'package'), [('timm', 'timm'), ('onnx', 'onnx')])
def test_names_the_extra(to, package, trained, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    suffix = '.onnx' if to == 'onnx' else '.pth'
    message = rf"{to} needs a package .*pip install 'dhm_plugin\[export\]'"
    refuses(tmp_path, message, DHM, trained[0], to, suffix)


def test_a_network_that_computes_something_else_is_not_written(
    trained, tmp_path, monkeypatch
):
    module = sys.modules[export_function.__module__]
    weights = module.resnet_weights

    def tampered(network):
        changed = weights(network)
        changed['fc.bias'] = changed['fc.bias'] + 0.1
        return changed

    monkeypatch.setattr(module, 'resnet_weights', tampered)
    refuses(tmp_path, 'computes something else: its logits', DHM, trained[0], 'timm')


@pytest.mark.one_stack
@pytest.mark.parametrize(
    ('to', 'suffix'),
    [('mmpretrain', '.pth'), ('mmpretrain', '.safetensors'), ('onnx', '.onnx')],
)
def test_a_full_disk_leaves_no_file(to, suffix, small, tmp_path):
    with full_disk():
        refuses(tmp_path, 'cannot be written: ', SMALL, small, to, suffix)


def test_does_not_overwrite_what_it_reads(small):
    with pytest.raises(CheckpointError, match='is what is read'):
        export(SMALL, small, small, 'mmpretrain')
    assert len(read_state_dict(small)[0]) > 200


def test_a_config_that_cannot_be_used(small, tmp_path):
    refuses(tmp_path, 'none.py: cannot be used', tmp_path / 'none.py', small)
    config = tmp_path / 'broken.py'
    config.write_text('model = dict(')
    refuses(tmp_path, 'broken.py: cannot be used', config, small)


def test_refuses_to_export_a_side_branch(small, tmp_path):
    config = tmp_path / 'side.py'
    config.write_text(f"_base_ = '{SMALL}'\nmodel = dict(predict_with='side0')")
    refuses(tmp_path, "predict_with='side0', but exported is the main", config, small)


@pytest.mark.one_stack
@pytest.mark.parametrize(
    ('given', 'mean', 'std'),
    [('mean=[1.0], std=[2.0]', '[1.0]', '[2.0]'), ('mean=None, std=None', '[]', '[]')],
)
def test_the_preprocessor_of_the_model_counts(given, mean, std, small, tmp_path):
    config = tmp_path / 'own.py'
    config.write_text(
        f"_base_ = '{SMALL}'\nmodel = dict(data_preprocessor=dict({given}))\n"
    )
    export(config, small, tmp_path / 'out.onnx', 'onnx')
    metadata = {e.key: e.value for e in onnx.load(tmp_path / 'out.onnx').metadata_props}
    assert (metadata['mean'], metadata['std']) == (mean, std)


@pytest.mark.one_stack
@pytest.mark.no_cover  # what a trace runs is slow to follow
@pytest.mark.parametrize(
    ('family', 'formats'),
    [
        ('ResNet', ('mmpretrain', 'torchvision', 'timm', 'onnx')),
        # Their heads have keys of their own, or none.
        ('MobileNetV3', ('mmpretrain',)),
        ('VGG', ('mmpretrain',)),
    ],
)
def test_a_stock_config_with_side_branches(family, formats, tmp_path):
    cfg = config_of(family)
    cfg.model.update(predict_with='main', side_branches=None, eval_branches=True)
    cfg.dump(tmp_path / 'cfg.py')
    model = settle(MODELS.build(cfg.model))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'trained.pth')
    files = tmp_path / 'cfg.py', tmp_path / 'trained.pth'
    for to in formats:
        out = tmp_path / ('out.onnx' if to == 'onnx' else f'{to}.safetensors')
        export(*files, out, to)
    stock = MODELS.build(plain_config_of(family).model)
    stock.load_state_dict(load_file(tmp_path / 'mmpretrain.safetensors'))


def test_the_classes_of_a_stacked_head_are_compared(tmp_path):
    cfg = config_of('MobileNetV3')
    torch.save(MODELS.build(cfg.model).state_dict(), tmp_path / 'trained.pth')
    cfg.model.head.num_classes = 10
    cfg.dump(tmp_path / 'cfg.py')
    message = r'has 1000 classes, but .* 10; set model.head.num_classes=1000'
    with pytest.raises(CheckpointError, match=message):
        export(tmp_path / 'cfg.py', tmp_path / 'trained.pth', tmp_path / 'o.pth', 'timm')


def test_a_backbone_without_out_indices(tmp_path):
    """Seen: AttributeError, which the tool does not catch."""

    @MODELS.register_module(force=True)
    class TwoMaps(BaseModule):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 8, 3)

        def forward(self, x):
            first = self.first(x)
            return first, self.second(first)

    stage = dict(type='CIFARResNetStage', in_channels=4, out_channels=8, num_blocks=1)
    neck = dict(type='SideBranchNeck', branches=[dict(stages=[stage])])
    head = dict(type='MultiBranchClsHead', num_classes=5, in_channels=8)
    model = dict(
        type='DHMClassifier', backbone=dict(type='TwoMaps'), neck=neck, head=head
    )
    pipeline = [dict(type='CenterCrop', crop_size=8)]
    loader = dict(dataset=dict(pipeline=pipeline))
    config, checkpoint = tmp_path / 'two_maps.py', tmp_path / 'two_maps.pth'
    Config(dict(model=model, test_dataloader=loader)).dump(config)
    torch.save(MODELS.build(model).state_dict(), checkpoint)
    compared, _ = export(config, checkpoint, tmp_path / 'out.pth', 'mmpretrain')
    assert compared == 4


def test_a_network_that_computes_some_buffers_itself(tmp_path):
    """Seen: `Missing key(s)`, of what SwinTransformerV2 does not load but saves."""
    arch = dict(embed_dims=8, depths=[1, 1, 2, 1], num_heads=[1, 2, 4, 8])
    arch['extra_norm_every_n_blocks'] = 0
    model = dict(
        type='DHMClassifier',
        backbone=dict(type='SwinTransformerV2', arch=arch, img_size=64, window_size=2),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=5, in_channels=64),
        mimicking_loss=dict(type='MimickingLoss'),
    )
    loader = dict(dataset=dict(pipeline=[dict(type='CenterCrop', crop_size=64)]))
    config, checkpoint = tmp_path / 'swin_v2.py', tmp_path / 'swin_v2.pth'
    Config(dict(model=model, test_dataloader=loader)).dump(config)
    trained = MODELS.build(model).eval()
    torch.save(trained.state_dict(), checkpoint)
    out = tmp_path / 'plain.pth'
    _, difference = export(config, checkpoint, out, 'mmpretrain')
    assert difference == 0
    del model['mimicking_loss']
    stock = MODELS.build({**model, 'type': 'ImageClassifier'})
    stock.load_state_dict(read_state_dict(out)[0], strict=False)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(stock.eval()(images), trained(images))
