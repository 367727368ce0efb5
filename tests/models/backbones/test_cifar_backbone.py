"""What the three CIFAR backbones share."""

import pytest
import torch
from mmpretrain.registry import MODELS

BACKBONES = {
    'CIFARResNet': (dict(depth=8), (16, 32, 64)),
    'CIFARWideResNet': (dict(depth=10, widen_factor=1), (16, 32, 64)),
    'CIFARDenseNet': (dict(depth=10, growth_rate=2, bottleneck=True), (3, 2, 4)),
}


@pytest.fixture(params=BACKBONES)
def kind(request):
    return request.param


def make(kind, **options):
    settings, _ = BACKBONES[kind]
    return MODELS.build(dict(type=kind, **settings, **options))


def test_out_indices(kind):
    model = make(kind, in_channels=1, out_indices=(0, 1, 2)).eval()
    x = torch.rand(2, 1, 8, 8)
    maps = model(x)
    assert tuple(y.size(1) for y in maps) == BACKBONES[kind][1]
    assert maps[-1].shape[2:] == (2, 2)
    model.out_indices = (0, 2)
    for ours, reference in zip(model(x), (maps[0], maps[2])):
        assert torch.equal(ours, reference)


def test_frozen_stages_stay_as_they_are(kind):
    model = make(kind, frozen_stages=1).train()
    frozen = {id(p) for m in (*model.stem(), *model.stage(0)) for p in m.parameters()}
    assert frozen
    for parameter in model.parameters():
        assert parameter.requires_grad == (id(parameter) not in frozen)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model(torch.rand(4, 3, 8, 8))
    changed = {
        key for key, value in model.state_dict().items() if value.ne(before[key]).any()
    }
    assert changed
    assert not any(
        key.startswith(('conv', 'bn1', 'layer1', 'transition1')) for key in changed
    )
    assert make(kind).train().stage(0)[0].training


def test_frozen_from_the_start(kind):
    """The optimizer and DistributedDataParallel look before the training begins."""
    model = make(kind, frozen_stages=1)
    for module in (*model.stem(), *model.stage(0)):
        assert not module.training
        assert not any(parameter.requires_grad for parameter in module.parameters())


def test_the_stem_alone_can_be_frozen(kind):
    model = make(kind, frozen_stages=0).train()
    assert not any(module.training for module in model.stem())
    assert not any(p.requires_grad for m in model.stem() for p in m.parameters())
    assert all(p.requires_grad for m in model.stage(0) for p in m.parameters())


def test_checkpointing_reaches_every_stage(kind):
    model = make(kind, with_cp=True)
    assert all(model.stage(i)[0].with_cp for i in range(3))


def built(configs, channels):
    modules = []
    for config in configs:
        modules.append(MODELS.build(dict(config, in_channels=channels)))
        channels = modules[-1].out_channels
    return torch.nn.ModuleList(modules)


def test_a_side_branch_has_the_networks_stages(kind):
    model = make(kind, norm_cfg=dict(type='GN', num_groups=1), with_cp=True)
    for i in (1, 2):
        theirs = torch.nn.ModuleList(model.stage(i))
        configs = model.side_stage(i, num_blocks=len(theirs[0]), widen=1)
        ours = built(configs, theirs[0].in_channels)
        assert [*map(type, ours.modules())] == [*map(type, theirs.modules())]
        shapes = [[p.shape for p in part.parameters()] for part in (ours, theirs)]
        assert shapes[0] == shapes[1]
        assert ours[0].with_cp


def test_norm_layers_and_initialization(kind):
    model = make(kind, norm_cfg=dict(type='GN', num_groups=1))
    model.init_weights()
    norms = [m for m in model.modules() if isinstance(m, torch.nn.GroupNorm)]
    assert norms
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
    for norm in norms:
        assert torch.equal(norm.weight, torch.ones_like(norm.weight))
    other = make(kind, init_cfg=dict(type='Constant', val=0.5, layer='Conv2d'))
    other.init_weights()
    convolutions = [m for m in other.modules() if isinstance(m, torch.nn.Conv2d)]
    assert all((m.weight == 0.5).all() for m in convolutions)


def test_convolutions_start_as_he_et_al_say(kind):
    model = make(kind)
    model.init_weights()
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d) and module.weight.numel() > 1000:
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            expected = (2 / fan_out) ** 0.5
            assert module.weight.std().item() == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(out_indices=(3,)), r'out_indices=\(3,\); it must be a list of stages'),
        (dict(out_indices=2), 'out_indices=2; it must be a list of stages, from 0 to 2'),
        (dict(out_indices=()), r'out_indices=\(\)'),
        (dict(frozen_stages=4), 'frozen_stages=4; it must be from -1 to 3'),
        (dict(frozen_stages=-2), 'frozen_stages=-2; it must be from -1 to 3'),
    ],
)
def test_refuses(kind, settings, message):
    with pytest.raises(ValueError, match=f'{kind}: {message}'):
        make(kind, **settings)
