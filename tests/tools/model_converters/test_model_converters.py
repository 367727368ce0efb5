"""The converters as command lines, on an authors' checkpoint made by rule."""

import json
from collections import OrderedDict

import mmpretrain
import pytest
import torch
from mmengine.runner import CheckpointLoader

from dhm_plugin.checkpoints import CheckpointError
from paths import ROOT

CONVERTERS = ROOT / 'tools/model_converters'


@pytest.fixture(scope='module')
def official(tmp_path_factory):
    """A synthetic checkpoint of the authors' ResNet-18, as their trainer saves it."""
    keys = json.loads((ROOT / 'tests/data/resnet18.keys.json').read_text())
    generator = torch.Generator().manual_seed(0)
    state_dict = {
        f'module.{key}': torch.rand(shape, generator=generator)
        for key, shape in keys.items()
    }
    path = tmp_path_factory.mktemp('official') / 'model_best.pth.tar'
    torch.save(
        dict(
            epoch=90,
            arch='resnet18',
            state_dict=state_dict,
            best_acc1=torch.tensor(71.0),
            optimizer=dict(state={}, param_groups=[]),
        ),
        path,
    )
    return path


def test_official_to_dhm_and_strip(official, build, python, tmp_path):
    ours, plain = tmp_path / 'dhm.pth', tmp_path / 'plain.pth'
    output = python(CONVERTERS / 'official_to_dhm.py', official, ours)
    weights = torch.load(official, weights_only=True)['state_dict']
    config = 'configs/dhm/resnet18_dhm_8xb32_in1k.py'
    assert output.endswith(
        f'architecture: that of {config}\n'
        f'classes: 1000\nkeys: {len(weights)}\n'
        'left out: epoch (90), arch (resnet18), best_acc1 (71.0), optimizer\n'
        f'written: {ours}\n'
    )
    content = torch.load(ours, weights_only=True)
    assert content['meta'] == dict(config=config)
    model = build('dhm/resnet18_dhm_8xb32_in1k.py')
    model.load_state_dict(content['state_dict'])
    for ours_key, theirs in {
        'backbone.layer2.0.downsample.0.weight': 'layer2.0.downsample.0.weight',
        'head.fc.bias': 'fc.bias',
        'head.side_fcs.0.weight': 'fc_head2.weight',
        'neck.branches.0.1.1.conv2.weight': 'layer4_head2.1.conv2.weight',
        'neck.branches.1.0.0.bn1.running_var': 'layer4_head1.0.bn1.running_var',
    }.items():
        expected = weights[f'module.{theirs}']
        assert torch.equal(content['state_dict'][ours_key], expected)

    output = python(CONVERTERS / 'strip_side_branches.py', ours, plain)
    assert output.endswith(f'{plain}: 122 keys, those of the plain network\n')
    stock = build('plain/resnet18_8xb32_in1k.py')
    stock.load_state_dict(torch.load(plain, weights_only=True)['state_dict'])


@pytest.mark.one_stack
@pytest.mark.parametrize('form', ['bare', 'module', 'trainer'])
def test_in_and_back_out_gives_the_same_weights(form, inline, tmp_path):
    """Of a bare state dict the same file, bit for bit."""
    keys = json.loads((ROOT / 'tests/data/cifar_resnet32.keys.json').read_text())
    generator = torch.Generator().manual_seed(0)
    weights = {
        key: torch.tensor(7) if not shape else torch.rand(shape, generator=generator)
        for key, shape in keys.items()
    }
    src, ours, back = (tmp_path / name for name in ('src.pth', 'ours.pth', 'back.pth'))
    content = weights
    if form != 'bare':
        content = OrderedDict((f'module.{k}', v) for k, v in weights.items())
        content._metadata = OrderedDict(version=1)  # as state_dict() has it
    if form == 'trainer':
        content = dict(epoch=164, state_dict=content)
    with src.open('wb') as file:
        torch.save(content, file)
    inline(CONVERTERS / 'official_to_dhm.py', src, ours)
    output = inline(CONVERTERS / 'official_to_dhm.py', ours, back, '--reverse')
    assert 'resnet32_dhm_1xb128_cifar100.py' in output
    assert 'left out: meta' in output
    result = torch.load(back, weights_only=True)
    assert list(result) == list(weights)
    for key, value in weights.items():
        assert result[key].dtype == value.dtype
        assert torch.equal(result[key], value)
    if form == 'bare':
        assert back.read_bytes() == src.read_bytes()


@pytest.mark.one_stack
@pytest.mark.parametrize(
    ('script', 'content', 'message'),
    [
        ('official_to_dhm.py', dict(weight=torch.ones(1)), "none of the authors'"),
        ('official_to_dhm.py', [1], 'holds a list'),
        ('strip_side_branches.py', dict(weight=torch.ones(1)), 'it has no side branches'),
        ('strip_side_branches.py', None, 'is truncated or damaged'),
    ],
)
def test_what_fails_writes_nothing(script, content, message, inline, tmp_path):
    if content is None:
        (tmp_path / 'src.pth').write_bytes(b'PK\x03\x04')
    else:
        torch.save(content, tmp_path / 'src.pth')
    paths = tmp_path / 'src.pth', tmp_path / 'out' / 'dst.pth'
    output = inline(CONVERTERS / script, *paths, code=1)
    assert f'{script}: {paths[0]}: ' in output
    assert message in output
    assert 'Traceback' not in output
    assert not paths[1].parent.exists()


def test_to_safetensors(inline, build, tmp_path):
    model = build('dhm/resnet8_dhm_1xb64_digits.py')
    src, dst = tmp_path / 'epoch_1.pth', tmp_path / 'weights.safetensors'
    meta = dict(epoch=1, dataset_meta=dict(classes=[*'abcdefghij']), seed=3)
    torch.save(dict(state_dict=model.state_dict(), meta=meta), src)
    text = inline(CONVERTERS / 'to_safetensors.py', src, dst)
    assert f'{dst}: {len(model.state_dict())} weights, in half precision' in text
    # MMEngine's own loader, as of --resume, load_from and get_model.
    checkpoint = CheckpointLoader.load_checkpoint(str(dst), 'cpu')
    assert checkpoint['meta'] == dict(epoch=1, dataset_meta=meta['dataset_meta'])
    model = mmpretrain.get_model('resnet8_dhm_1xb64_digits', pretrained=str(dst))
    assert model._dataset_meta == meta['dataset_meta']
    loaded = checkpoint['state_dict']
    assert loaded.keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        rounded = value.half() if value.is_floating_point() else value
        assert loaded[key].dtype == rounded.dtype
        assert torch.equal(loaded[key], rounded), key
    large = tmp_path / 'large.pth'
    torch.save({'bn.running_var': torch.tensor([1.0, 1e5])}, large)
    none = tmp_path / 'no/x.safetensors'
    text = inline(CONVERTERS / 'to_safetensors.py', large, none, code=1)
    assert f'{large}: bn.running_var is up to 1e+05, above the largest number' in text
    assert not none.parent.exists()
    text = inline(CONVERTERS / 'to_safetensors.py', src, src, code=2)
    assert f'{src}: must end with .safetensors' in text
    dst.unlink()
    with pytest.raises(CheckpointError, match=r'weights\.safetensors: there is no such'):
        CheckpointLoader.load_checkpoint(str(dst), 'cpu')


def test_a_checkpoint_without_meta_is_stripped(inline, build, tmp_path):
    model = build('dhm/resnet8_dhm_1xb64_digits.py')
    src, dst = tmp_path / 'dhm.pth', tmp_path / 'plain.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=None), src)
    inline(CONVERTERS / 'strip_side_branches.py', src, dst)
    content = torch.load(dst, weights_only=True)
    plain = build('plain/resnet8_1xb64_digits.py').state_dict()
    assert content['state_dict'].keys() == plain.keys()
    assert content['meta'] == {}
