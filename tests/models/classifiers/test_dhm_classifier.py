import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from mmengine import Config
from mmengine.analysis import get_model_complexity_info
from mmengine.runner import load_checkpoint
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS

from dhm_plugin import DHMClassifier
from paths import ROOT

METHODS = {
    'resnet18': ('dhm/resnet18_dhm_8xb32_in1k.py', 'plain/resnet18_8xb32_in1k.py', 3, 64),
    'resnet50': ('dhm/resnet50_dhm_8xb32_in1k.py', 'plain/resnet50_8xb32_in1k.py', 3, 64),
    'resnet20': (
        'dhm/resnet20_dhm_1xb64_digits.py',
        'plain/resnet20_1xb64_digits.py',
        1,
        8,
    ),
}


def with_backbone(backbone, channels, head_channels):
    """Give a backbone one side branch."""
    stages = [
        dict(type='ResNetStage', in_channels=channels, out_channels=8, num_blocks=1)
    ]
    return DHMClassifier(
        backbone=backbone,
        neck=dict(type='SideBranchNeck', branches=[dict(stages=stages)]),
        head=dict(type='MultiBranchClsHead', num_classes=2, in_channels=head_channels),
    )


@pytest.fixture(params=METHODS)
def pair(request, build):
    """A DHM model with settled batch norms, the plain one of its config, and images."""
    dhm, plain, channels, size = METHODS[request.param]
    images = torch.randn(4, channels, size, size)
    dhm, plain = build(dhm), build(plain)
    for module in dhm.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return dhm, plain, images


def test_a_checkpoint_loads_into_the_stock_model(pair, tmp_path):
    dhm, plain, images = pair
    assert type(plain) is ImageClassifier
    torch.save(dict(state_dict=dhm.state_dict()), tmp_path / 'dhm.pth')
    load_checkpoint(plain, str(tmp_path / 'dhm.pth'), map_location='cpu')
    assert torch.equal(plain.head.fc.weight, dhm.head.fc.weight)
    missing, unexpected = plain.load_state_dict(dhm.state_dict(), strict=False)
    assert not missing
    sides = ('neck.branches.', 'head.side_fcs.')
    assert unexpected
    assert all(key.startswith(sides) for key in unexpected)
    ours = dhm.eval().predict(images)
    stock = plain.eval().predict(images)
    for a, b in zip(ours, stock):
        assert torch.equal(a.pred_score, b.pred_score)


def test_a_stripped_network_is_the_plain_one(pair):
    dhm, plain, images = pair
    before = dhm.eval()(images)
    calls = []
    hooks = [
        module.register_forward_hook(lambda *_: calls.append(1))
        for module in [*dhm.neck.branches.modules(), *dhm.head.side_fcs.modules()]
    ]
    dhm(images)
    dhm.predict(images)
    assert not calls
    assert len(dhm.branch_logits(images)) == 3
    assert calls
    for hook in hooks:
        hook.remove()

    dhm.switch_to_deploy()
    assert list(dhm.state_dict()) == list(plain.state_dict())
    plain.load_state_dict(dhm.state_dict())
    assert torch.equal(dhm(images), before)
    assert torch.equal(plain.eval()(images), before)
    assert torch.equal(dhm.branch_logits(images)[0], before)
    complexities = [
        get_model_complexity_info(model, inputs=images[:1], show_table=False)
        for model in (dhm, plain)
    ]
    for what in ('flops', 'params', 'activations'):
        assert complexities[0][what] == complexities[1][what] > 0


def test_any_backbone(build):
    """The branches fork from a network that we have not written."""
    model = MODELS.build(
        dict(
            type='DHMClassifier',
            backbone=dict(type='MobileNetV2', widen_factor=0.25, out_indices=(3, 5, 7)),
            neck=dict(
                type='SideBranchNeck',
                branches=[
                    dict(
                        stages=[
                            dict(
                                type='ResNetStage',
                                in_channels=channels,
                                out_channels=32,
                                num_blocks=1,
                            )
                        ]
                    )
                    for channels in (16, 40)
                ],
            ),
            head=dict(type='MultiBranchClsHead', num_classes=5, in_channels=1280),
        )
    )
    logits = model.branch_logits(torch.rand(2, 3, 64, 64))
    assert [z.shape for z in logits] == [(2, 5)] * 3


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            {'model.backbone.out_indices': (1,)},
            r'\[0\] has num_blocks=.* forks after stage -1; .*out_indices are \[0, 1\]',
        ),
        ({'model.head.in_channels': 32}, 'main branch ends with 64 channels; set in_ch'),
        ({'model.head.side_in_channels': (64,)}, r'\[64\], but .* end with \[64, 128\]'),
        ({'model.head.side_in_channels': (64, 64)}, r'\[64, 64\], but .* \[64, 128\]'),
        ({'model.head.mimicking_loss.temperature': 0}, 'temperature=0'),
        ({'model.neck.branches': []}, r'branches=\[\]; it must be a list'),
    ],
)
def test_what_does_not_fit_fails_when_built(build, options, message):
    with pytest.raises(ValueError, match=message):
        build('dhm/resnet20_dhm_1xb64_digits.py', **options)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            {'model.backbone.out_indices': (2,)},
            r'branches\[0\] forks from feature map 0, .* gives 1 map\(s\)',
        ),
        (
            {'model.neck.branches.0.stages.0.in_channels': 24},
            r'has in_channels=24, but feature map 0, .* set in_channels=16',
        ),
    ],
)
def test_described_stages_that_do_not_fit_fail_when_built(build, options, message):
    with pytest.raises(ValueError, match=message):
        build('studies/map/resnet8_dhm_1xb64_fmnist.py', **options)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            {'model.neck': dict(type='GlobalAveragePooling', _delete_=True)},
            'the neck is a GlobalAveragePooling, beside a MultiBranchClsHead; it must be '
            'a SideBranchNeck',
        ),
        (
            {
                'model.head': dict(
                    type='LinearClsHead', num_classes=10, in_channels=64, _delete_=True
                )
            },
            'the head is a LinearClsHead, beside a SideBranchNeck; it must be a '
            'MultiBranchClsHead',
        ),
    ],
)
def test_refuses_other_parts(build, options, message):
    with pytest.raises(TypeError, match=message):
        build('dhm/resnet20_dhm_1xb64_digits.py', **options)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('side_branches', [dict(fork='layer1')]),
        ('mimicking_loss', dict(type='MimickingLoss')),
        ('eval_branches', True),
    ],
)
def test_what_the_neck_or_head_says_is_not_said_twice(name, value, build):
    message = f'{name} is given, but the neck is a SideBranchNeck'
    with pytest.raises(ValueError, match=message):
        build('dhm/resnet20_dhm_1xb64_digits.py', **{f'model.{name}': value})


def test_a_stripped_network_evaluates_no_side_branch():
    cfg = Config.fromfile(ROOT / 'configs/plain/resnet20_1xb64_digits.py').model
    cfg.update(type='DHMClassifier', eval_branches=True)
    model = MODELS.build(cfg)
    assert model.evaluates_side_branches
    model.switch_to_deploy()
    assert not model.evaluates_side_branches
    model.predict_with = 'main'
    assert not model.eval_branches


@pytest.mark.parametrize(
    'backbone',
    [
        dict(type='ConvNeXt', arch='tiny', out_indices=(2, 3)),
        dict(type='VisionTransformer', arch='deit-t', out_indices=(5, 11)),
    ],
)
def test_refuses_what_is_no_feature_map(backbone):
    with pytest.raises(ValueError, match=r'need feature maps \(N, C, H, W\), .* gives'):
        with_backbone(backbone, 192, 768)


def test_refuses_maps_out_of_order(build):
    options = {'model.backbone.out_indices': (2, 0, 1)}
    with pytest.raises(ValueError, match=r'=\(2, 0, 1\); they must be in order'):
        build('dhm/resnet20_dhm_1xb64_digits.py', **options)


def test_the_check_leaves_no_trace(build):
    model = build('dhm/resnet20_dhm_1xb64_digits.py')
    assert model.training
    assert model.backbone.training
    assert int(model.backbone.bn1.num_batches_tracked) == 0
    assert {tensor.device.type for tensor in model.state_dict().values()} == {'cpu'}


def test_a_backbone_that_meta_cannot_run():
    class Stubborn(torch.nn.Module):
        def forward(self, x):
            return (torch.from_numpy(x.numpy())[:, :2], x)

    with pytest.raises(ValueError, match='set in_channels=2'):
        with_backbone(Stubborn(), 3, 3)
    model = with_backbone(Stubborn(), 2, 3)
    assert len(model.branch_logits(torch.rand(2, 3, 8, 8))) == 2
    model.switch_to_deploy()  # without out_indices
    assert len(model.branch_logits(torch.rand(2, 3, 8, 8))) == 1


ARCHITECTURES = [
    ('dhm/resnet20_dhm_1xb64_digits.py', (1, 8, 8)),
    ('dhm/wrn16-8_dhm_1xb128_cifar10.py', (3, 16, 16)),
    ('dhm/densenet40-12_dhm_1xb64_cifar10.py', (3, 16, 16)),
    ('dhm/resnet18_dhm_8xb32_in1k.py', (3, 64, 64)),
]


@pytest.mark.parametrize(('config', 'shape'), ARCHITECTURES)
@pytest.mark.parametrize('branch', [0, 1])
def test_exits_at_a_side_branch(config, shape, branch, build):
    model = build(config, **{'model.predict_with': f'side{branch}'}).eval()
    images = torch.randn(2, *shape)
    with torch.no_grad():
        logits = model(images)
        (sample, _) = model(images, mode='predict')
        expected = model.branch_logits(images)[branch]
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(sample.pred_score, expected[0].softmax(dim=0))


def test_runs_nothing_behind_the_exit(build):
    model = build('dhm/resnet18_dhm_8xb32_in1k.py', **{'model.predict_with': 'side0'})
    ran = []
    for name, module in (
        *model.backbone.named_children(),
        *model.neck.branches.named_children(),
    ):
        module.register_forward_hook(
            lambda module, inputs, output, name=name: ran.append(name)
        )
    model.eval()(torch.randn(1, 3, 64, 64))
    assert ran == ['conv1', 'bn1', 'relu', 'maxpool', 'layer1', 'layer2', '0']
    model.predict_with = 'side1'
    ran.clear()
    model(torch.randn(1, 3, 64, 64))
    assert ran[-3:] == ['layer2', 'layer3', '1']
    model.switch_to_deploy()
    assert not any('Recorder' in str(m._forward_hooks) for m in model.modules())


@pytest.mark.parametrize('predict_with', ['side0', 'side1', 'ensemble'])
def test_torch_export(predict_with, build):
    model = build(ARCHITECTURES[0][0], **{'model.predict_with': predict_with}).eval()
    images = torch.randn(2, 1, 8, 8)
    program = torch.export.export(model, (images,))
    with torch.no_grad():
        torch.testing.assert_close(program.module()(images), model(images))


def test_what_passes_on_cannot_be_passed_on(build):
    """A map that needs what runs after its module: the whole backbone runs."""

    class Adds(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(3, 4, 1)
            self.second = torch.nn.Conv2d(4, 5, 1)

        def forward(self, x):
            first = self.first(x)
            return first, self.second(first) + torch.zeros(1, 5, 1, 1, device=x.device)

    model = with_backbone(Adds(), 4, 5)
    images = torch.rand(2, 3, 8, 8)
    expected = model.eval().branch_logits(images)[0]
    model = DHMClassifier(model.backbone, model.neck, model.head, predict_with='side0')
    torch.testing.assert_close(model.eval()(images), expected)


def test_a_map_that_is_written_into_later(build):
    """Seen: the exit gave what was there before."""

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(4, 5, 1)

        def forward(self, x):
            return self.conv(torch.relu_(x))

    class Writes(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(3, 4, 1)
            self.second = Block()

        def forward(self, x):
            first = self.first(x)
            return first, self.second(first)

    model = with_backbone(Writes(), 4, 5)
    images = torch.rand(2, 3, 8, 8)
    expected = model.eval().branch_logits(images)[0]
    model.predict_with = 'side0'
    assert torch.equal(model(images), expected)


def test_the_whole_backbone_runs_where_the_exit_is_replaced(build):
    """As SyncBatchNorm replaces norm layers."""
    model = build(ARCHITECTURES[0][0], **{'model.predict_with': 'side0'}).eval()
    images = torch.randn(2, 1, 8, 8)
    expected = model(images)
    model.backbone.layer1._forward_hooks.clear()
    assert torch.equal(model(images), expected)


@pytest.mark.parametrize('config', ['dhm/resnet20_dhm', 'plain/resnet20'])
def test_flops_of_an_early_exit_are_counted(config):
    """Seen: an exception within PyTorch's trace ended the process."""
    cfg = Config.fromfile(ROOT / f'configs/{config}_1xb64_digits.py').model
    cfg.update(type='DHMClassifier', predict_with='side0')
    model = MODELS.build(cfg).eval()
    images = torch.randn(1, 1, 8, 8)
    assert get_model_complexity_info(model, inputs=(images,))['flops'] > 1e6
    assert torch.equal(model(images), model.branch_logits(images)[0])


def test_several_threads_get_their_own_logits(build):
    """Seen: one took the map of another, or none."""
    model = build(ARCHITECTURES[0][0], **{'model.predict_with': 'side0'}).eval()
    batches = [torch.randn(2, 1, 8, 8) for _ in range(4)]
    with torch.no_grad():
        expected = [model(images) for images in batches]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool, torch.no_grad():
            numbers = [i % 4 for i in range(200)]
            found = [*pool.map(lambda i: model(batches[i]), numbers)]
    finally:
        sys.setswitchinterval(interval)
    for i, logits in zip(numbers, found):
        torch.testing.assert_close(logits, expected[i])


def test_predicts_with_the_mean(build):
    model = build(ARCHITECTURES[0][0], **{'model.predict_with': 'ensemble'}).eval()
    images = torch.randn(3, 1, 8, 8)
    with torch.no_grad():
        samples = model(images, mode='predict')
        branches = torch.stack(model.branch_logits(images)).softmax(dim=-1)
    scores = torch.stack([sample.pred_score for sample in samples])
    torch.testing.assert_close(scores, branches.mean(dim=0))
    model.switch_to_deploy()
    with torch.no_grad():
        logits = model(images)
    torch.testing.assert_close(logits.softmax(dim=-1), branches[-1])


@pytest.mark.parametrize('config', ['described', 'plain'])
@pytest.mark.parametrize('branch', ['main', 'side0', 'ensemble'])
def test_every_way_to_predict_is_of_the_same_branch(branch, config, build):
    if config == 'described':
        model = build(ARCHITECTURES[0][0], **{'model.predict_with': branch})
    else:
        cfg = Config.fromfile(ROOT / 'configs/plain/resnet20_1xb64_digits.py').model
        cfg.update(type='DHMClassifier', predict_with=branch)
        model = MODELS.build(cfg)
    images = torch.randn(3, 1, 8, 8)
    # In training mode, of the same batch's statistics.
    with torch.no_grad():
        for mode in (True, False):
            model.train(mode)
            logits = model(images)
            branches = dict(zip(model.branch_names, model.branch_logits(images)))
            mean = torch.stack([*branches.values()]).softmax(dim=-1).mean(dim=0)
            expected = mean if branch == 'ensemble' else branches[branch].softmax(dim=-1)
            torch.testing.assert_close(logits.softmax(dim=-1), expected)
        found = [model(images, mode='predict'), model.predict(images)]
    for samples in found:
        scores = torch.stack([sample.pred_score for sample in samples])
        torch.testing.assert_close(scores, expected)


def test_modes_of_modules_stay(build):
    model = build(ARCHITECTURES[0][0])
    model.backbone.layer1.eval()
    before = [module.training for module in model.modules()]
    model.predict_with = 'side0'
    assert [module.training for module in model.modules()] == before


def test_a_backbone_that_runs_on_no_image_of_224(build):
    class Small(torch.nn.Module):
        def forward(self, x):
            return x[:, :2].view(-1, 2, 8, 8), x.view(-1, 3, 8, 8)

    head = dict(type='MultiBranchClsHead', num_classes=2, in_channels=3)
    stage = dict(type='ResNetStage', in_channels=2, out_channels=8, num_blocks=1)
    neck = dict(type='SideBranchNeck', branches=[dict(stages=[stage])])
    with pytest.raises(ValueError, match=r'side_in_channels=\[8, 8\], .* with \[8\]'):
        DHMClassifier(Small(), neck, dict(head, side_in_channels=(8, 8)))
    assert len(DHMClassifier(Small(), neck, head).branch_logits(torch.rand(1, 3, 8, 8)))


def test_refuses_an_unknown_mode_as_the_stock_classifier(build):
    model = build(ARCHITECTURES[0][0], **{'model.predict_with': 'ensemble'}).eval()
    with pytest.raises(RuntimeError, match='Invalid mode "logits"'):
        model(torch.randn(1, 1, 8, 8), mode='logits')


def test_refuses_an_unknown_branch(build):
    with pytest.raises(ValueError, match="predict_with='side2'; it must be one of"):
        build(ARCHITECTURES[0][0], **{'model.predict_with': 'side2'})
