"""All side branches of a plain config: what is refused, copied and kept."""

import copy
import pickle

import pytest
import torch
from mmengine import Config
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from dhm_plugin import BranchAccuracy

from .families import build

FAMILIES = ('ShuffleNetV2', 'DeiT')
IMAGES = (4, 3, 64, 64)


def plain(**options):
    """A small ResNet; options are of the classifier."""
    return dict(
        type='DHMClassifier',
        backbone=dict(type='ResNet_CIFAR', depth=18, base_channels=4, stem_channels=4),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=4, in_channels=32),
        **options,
    )


def test_what_is_derived_can_be_said():
    derived = MODELS.build(plain()).side_branches.describe()
    assert derived == [
        dict(fork='layer2', without=['layer3.1', 'layer4.1'], fork_prob=1.0),
        dict(fork='layer3', without=['layer4.1'], fork_prob=1.0),
    ]
    said = MODELS.build(plain(side_branches=derived))
    assert said.side_branches.describe() == derived


@pytest.mark.parametrize(
    ('branch', 'message'),
    [
        (dict(forks='layer2'), "there is no 'forks'; did you mean 'fork'"),
        (dict(without=[]), "has no fork; it must be a module, such as 'layer2'"),
        ('layer2', "is 'layer2'; it must be a dict whose `fork` is the name of a module"),
        (dict(fork=2), 'must be a dict whose `fork` is the name'),
        (dict(fork='layer3.0.conv2'), r'write into what the network computed'),
        (dict(fork='layer5'), "'layer5' of ResNet_CIFAR: .* did you mean 'layer"),
        (dict(fork='relu'), "'relu' of ResNet_CIFAR: it has no weights"),
        (dict(fork='layer2.0.relu'), 'it runs more than once'),
        (dict(fork='layer2.0.bn2'), r'writes into what it gives \(in place\)'),
        (dict(fork='layer2.0.downsample.1'), 'a conversion to SyncBN would replace'),
        (dict(fork='layer2', without='layer3.1'), "without='layer3.1'.* list of names"),
        (dict(fork='layer2', without=['layer3.0']), "do without 'layer3.0': it must be"),
        (dict(fork='layer2', without=['layer9']), "do without 'layer9': it must be"),
        (dict(fork='layer3', without=['layer2.1']), "do without 'layer2.1': it must be"),
        (dict(fork='layer2', fork_prob=0), 'fork_prob=0; it must be a probability'),
        (dict(fork='layer2', fork_prob='x'), "fork_prob='x'; it must be a probability"),
    ],
)
def test_refuses_a_branch_that_cannot_be(branch, message):
    branches = [dict(fork='layer1'), branch]
    with pytest.raises(ValueError, match=message) as error:
        MODELS.build(plain(side_branches=branches))
    assert str(error.value).count(r'DHMClassifier: side_branches[1]') == 1


def test_forks_after_a_block_that_a_checkpoint_runs():
    config = plain(side_branches=[dict(fork='layer2.0')])
    config['backbone']['with_cp'] = True
    (branch,) = MODELS.build(config).side_branches.describe()
    assert branch['fork'] == 'layer2.0'


def test_what_is_left_trains_alone():
    model = MODELS.build(plain(side_branches=[dict(fork='layer2', fork_prob=0.5)]))
    model.switch_to_deploy()
    samples = [DataSample().set_gt_label(i) for i in range(4)]
    for _ in range(10):
        assert [*model.loss(torch.rand(*IMAGES), samples)] == ['loss_ce_main']


def test_refuses_branches_in_another_order():
    branches = [dict(fork='layer3'), dict(fork='layer2')]
    with pytest.raises(ValueError, match=r"shallowest first: \['layer2', 'layer3'\]"):
        MODELS.build(plain(side_branches=branches))


@pytest.mark.parametrize('branches', [[], 2, 'layer2', dict(fork='layer2')])
def test_refuses_what_is_no_list_of_branches(branches):
    with pytest.raises(
        ValueError, match='it must be a list of one or more dicts'
    ) as info:
        MODELS.build(plain(side_branches=branches))
    assert f'side_branches={branches!r};' in str(info.value)


@pytest.mark.parametrize(
    ('backbone', 'channels', 'message'),
    [
        (dict(type='TNT', arch='s'), 384, 'fork from TNT cannot be derived'),
        (
            dict(type='RevVisionTransformer', arch='deit-tiny'),
            384,
            'the rest of RevVisionTransformer from layers.5 on .* meta device: ',
        ),
        (
            dict(type='LeNet5', num_classes=8),
            8,
            "LeNet5 cannot be derived: .*dict\\(fork='",
        ),
        (
            dict(type='HorNet', arch='tiny', with_cp=True),
            512,
            'HorNet with with_cp=True .* leave with_cp out',
        ),
    ],
)
def test_refuses_a_backbone_by_name_and_reason(backbone, channels, message):
    config = plain()
    config.update(backbone=backbone, neck=None)
    config['head']['in_channels'] = channels
    with pytest.raises(ValueError, match=message):
        MODELS.build(config)


def test_a_backbone_that_does_not_run_on_the_meta_device():
    @MODELS.register_module(force=True)
    class LooksAtItsImages(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 32, 3)

        def forward(self, x):
            return (self.conv(x if x.sum() > 0 else -x),)

    config = plain()
    config.update(backbone=dict(type='LooksAtItsImages'))
    with pytest.raises(
        ValueError,
        match='LooksAtItsImages gets no side branches by itself, for it does not run on '
        'the meta device',
    ):
        MODELS.build(config)
    MODELS.module_dict.pop('LooksAtItsImages')


@MODELS.register_module()
class Gated(nn.Module):
    """What comes before the fork scales what follows it, without a gradient."""

    def __init__(self, init_cfg=None):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.gate = nn.Conv2d(4, 4, 1)
        self.layer1 = nn.Conv2d(4, 4, 3, 2, 1)
        self.layer2 = nn.Conv2d(4, 4, 3, 2, 1)
        self.layer3 = nn.Conv2d(4, 4, 3, 2, 1)

    def forward(self, x):
        x = self.stem(x)
        with torch.no_grad():
            gate = self.gate(x).mean()
        x = self.layer2(self.layer1(x))
        return (self.layer3(x) * gate,)


def test_what_is_used_without_a_gradient_is_replayed():
    model = MODELS.build(
        dict(
            type='DHMClassifier',
            backbone=dict(type='Gated'),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=4, in_channels=4),
            side_branches=[dict(fork='layer2')],
        )
    ).eval()
    (branch,) = model.side_branches
    assert set(branch.replayed) == {'gate', 'layer2'}
    weights = model.state_dict()
    branch.load_state_dict({key: weights[key] for key in branch.state_dict()})
    side, main = model.branch_logits(torch.rand(3, 3, 32, 32))
    assert torch.equal(side, main)


@pytest.mark.parametrize('as_list', [False, True])
def test_trained_weights_do_not_reach_the_branches(as_list, tmp_path):
    """Whichever part of the network they are of."""
    config = plain()
    config['neck'] = dict(type='LinearNeck', in_channels=32, out_channels=32, gap_dim=2)
    weights = MODELS.build(config).state_dict()
    path = str(tmp_path / 'weights.pth')
    torch.save({k: torch.full_like(v, 7) for k, v in weights.items()}, path)
    for part in ('backbone', 'neck', 'head'):
        trained = dict(type='Pretrained', checkpoint=path, prefix=f'{part}.')
        config[part]['init_cfg'] = trained
    if as_list:
        config['neck'] = [config['neck']]
    model = build(Config(dict(model=config)))
    of_sides = {*model.side_branches.parameters()}
    for name, parameter in model.named_parameters():
        assert (parameter == 7).all() == (parameter not in of_sides), name


def test_other_initializations_do(tmp_path):
    config = plain()
    path = str(tmp_path / 'weights.pth')
    torch.save(MODELS.build(config).backbone.state_dict(), path)
    config['backbone']['init_cfg'] = [
        dict(type='Constant', val=0.5, layer='Conv2d'),
        dict(type='Pretrained', checkpoint=path),
    ]
    model = build(Config(dict(model=config)))
    of_sides = [m for m in model.side_branches.modules() if isinstance(m, nn.Conv2d)]
    assert of_sides
    assert all((convolution.weight == 0.5).all() for convolution in of_sides)
    assert not (model.backbone.conv1.weight == 0.5).any()


def test_no_initialization_is_none():
    """An empty list, by which a config takes away a backbone's own."""
    config = plain()
    config['backbone']['init_cfg'] = []
    model = build(Config(dict(model=config)))
    found = [m for m in model.side_branches.modules() if isinstance(m, nn.Conv2d)]
    assert found
    for convolution in found:
        # PyTorch's own draws nothing beyond it, a normal distribution does.
        bound = convolution.weight[0].numel() ** -0.5
        assert convolution.weight.abs().max() <= bound


def test_what_is_bypassed_is_named():
    model = MODELS.build(plain())
    model.side_branches.tape.detach()
    with pytest.raises(RuntimeError, match='layer2 of the network gave nothing'):
        model.branch_logits(torch.rand(*IMAGES))


def test_metrics_of_the_branches():
    images = torch.randn(*IMAGES)
    model = MODELS.build(plain()).eval()
    samples = [sample.to_dict() for sample in model(images, mode='predict')]
    with pytest.raises(ValueError, match=r'set model\.eval_branches=True'):
        BranchAccuracy().process(None, samples)
    model.eval_branches = True
    samples = model(images, mode='predict')
    samples = [sample.set_gt_label(0).to_dict() for sample in samples]
    metric = BranchAccuracy()
    metric.process(None, samples)
    assert 'branch/side1_top1' in metric.evaluate(len(samples))


@pytest.mark.parametrize('held', [False, True])
@pytest.mark.parametrize(
    'copied', [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
@pytest.mark.parametrize('family', FAMILIES)
def test_a_copy_has_branches_of_its_own(family, copied, held, small):
    """Also while the tape holds activations, of which there is no deep copy."""
    model = build(small(family)).eval()
    images = torch.randn(*IMAGES)
    logits = model.branch_logits(images)
    if held:
        with model.side_branches.tape.open():
            model.backbone(images)
            assert model.side_branches.tape.outputs
            twin = copied(model)
    else:
        twin = copied(model)
    assert twin.side_branches.tape is not model.side_branches.tape
    torch.testing.assert_close(twin.branch_logits(images), logits, rtol=0, atol=0)
    for parameter in twin.parameters():
        nn.init.normal_(parameter)
    for ours, theirs in zip(logits, twin.branch_logits(images)):
        assert not torch.equal(ours, theirs)
    torch.testing.assert_close(model.branch_logits(images), logits, rtol=0, atol=0)
    twin.switch_to_deploy()
    assert not any(module._forward_hooks for module in twin.modules())
    model.branch_logits(images)  # its own hooks are where they were


@pytest.mark.one_stack
def test_an_early_exit_can_be_exported(small):
    model = build(small('ShuffleNetV2')).eval()
    model.predict_with = 'side0'
    images = torch.randn(*IMAGES)
    with torch.no_grad():
        exported = torch.export.export(model, (images,)).module()
        torch.testing.assert_close(exported(images), model(images))


@pytest.mark.parametrize('family', FAMILIES)
def test_nothing_is_kept(family, small):
    model = build(small(family)).eval()
    images, tape = torch.randn(*IMAGES), model.side_branches.tape
    kept = []
    for module in (*model.side_branches, model.head):
        module.register_forward_pre_hook(lambda *_: kept.append(len(tape.outputs)))
    model(images)
    model(images, mode='predict')
    assert kept == [0, 0]
    model.branch_logits(images)
    assert 0 not in kept[2:]
    assert not tape.outputs
    model.predict_with = 'side1'
    model(images)
    assert not tape.outputs

    def fail(*_):
        raise RuntimeError('in the middle')

    model.side_branches[1].register_forward_pre_hook(fail)
    for run in (model.branch_logits, model):
        with pytest.raises(RuntimeError, match='in the middle'):
            run(images)
        assert not tape.outputs
        assert not tape.recording
