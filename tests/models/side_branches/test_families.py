"""The README's lines over stock configs of MMPretrain's families."""

import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from dhm_plugin.models.side_branches.calls import is_inside
from families import FAMILIES

from .families import build, config_of, plain_config_of, size_of

# Their blocks are much like those of others here, or they take long.
ALIKE = 'ResNetV1d', 'ResNeXt', 'SEResNet', 'RegNet', 'VGG', 'MobileOne', 'CSPDarkNet'


def samples(number=3, classes=1000):
    return [DataSample().set_gt_label(i % classes) for i in range(number)]


def without_gradient(model):
    return [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]


@pytest.mark.parametrize(
    'family',
    [
        pytest.param(name, marks=pytest.mark.one_stack) if name in ALIKE else name
        for name in FAMILIES
    ],
)
def test_a_stock_config(family, tmp_path):
    cfg = config_of(family, tmp_path)
    init_default_scope('mmpretrain')
    model = build(cfg)
    # An odd number: a view may take channels for images.
    images = torch.randn(3, 3, size_of(family), size_of(family))
    plain = MODELS.build(plain_config_of(family, tmp_path).model)
    sides = model.branch_names[:-1]
    assert sides == ('side0', 'side1')

    # A step: every parameter of a branch has a gradient, and no two share one.
    losses = model.loss(images, samples())
    kinds = ('ce', 'mimic')
    names = {f'loss_{kind}_{name}' for kind in kinds for name in model.branch_names}
    assert set(losses) == names
    sum(losses.values()).backward()
    sum(plain.loss(images, samples()).values()).backward()
    assert without_gradient(model) == without_gradient(plain)
    ids = [id(p) for p in model.parameters()]
    assert len(ids) == len({*ids})
    assert not model.side_branches.tape.outputs

    # Evaluation: the main branch alone.
    model.eval()
    calls = []
    for branch in model.side_branches:
        branch.register_forward_hook(lambda *call: calls.append(call))
    with torch.no_grad():
        logits = model(images)
        model.predict(images)
        assert not calls
        *of_sides, main = model.branch_logits(images)
        assert len(calls) == 2
        assert torch.equal(main, logits)
        # The early exit gives the same, and runs nothing after the fork.
        ran = []
        for name, module in model.backbone.named_modules():
            module.register_forward_pre_hook(lambda *_, name=name: ran.append(name))
        for name, branch, expected in zip(sides, model.side_branches, of_sides):
            model.predict_with = name
            ran.clear()
            torch.testing.assert_close(model(images), expected)
            assert branch.fork in ran
            inside = ran[ran.index(branch.fork) :]
            assert all(is_inside(module, branch.fork) for module in inside)
        model.predict_with = 'main'

        # Dropped: the keys and the logits of the stock network.
        model.switch_to_deploy()
        weights = model.state_dict()
        assert list(weights) == list(plain.state_dict())
        plain.load_state_dict(weights)
        assert torch.equal(plain.eval()(images), logits)


# VGG's branches have another classifier: the stock one is 124 of its 133 million weights.
@pytest.mark.one_stack
@pytest.mark.parametrize('family', [name for name in FAMILIES if name != 'VGG'])
def test_an_unshortened_branch_with_the_main_branchs_weights_is_the_main_branch(
    family, tmp_path
):
    cfg = config_of(family, tmp_path)
    init_default_scope('mmpretrain')
    forks = [branch.fork for branch in MODELS.build(cfg.model).side_branches]
    cfg.model.side_branches = [dict(fork=fork, without=[]) for fork in forks]
    model = MODELS.build(cfg.model).eval()
    images = torch.randn(3, 3, size_of(family), size_of(family))
    weights = copy.deepcopy(model.state_dict())
    for branch in model.side_branches:
        mine = branch.state_dict()
        branch.load_state_dict({key: weights[key] for key in mine})
    with torch.no_grad():
        side0, side1, main = model.branch_logits(images)
    assert torch.equal(side0, main)
    assert torch.equal(side1, main)
