"""timm's networks, through MMPretrain's TIMMBackbone."""

import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

timm = pytest.importorskip('timm')


def config(name, channels, head='LinearClsHead', neck='GlobalAveragePooling', **options):
    return dict(
        type='DHMClassifier',
        backbone=dict(type='TIMMBackbone', model_name=name, **options),
        neck=neck and dict(type=neck),
        head=dict(type=head, num_classes=4, in_channels=channels),
        mimicking_loss=dict(type='MimickingLoss'),
    )


@pytest.mark.parametrize(
    ('name', 'channels', 'forks'),
    [
        ('resnet18', 512, ['layer2', 'layer3']),
        ('efficientnet_lite0', 1280, ['blocks.2', 'blocks.4']),
        ('convnext_atto', 320, ['stages.1', 'stages.2']),
    ],
)
def test_a_cnn(name, channels, forks):
    model = MODELS.build(config(name, channels))
    model.init_weights()
    branches = model.side_branches.describe()
    assert [branch['fork'] for branch in branches] == [f'timm_model.{f}' for f in forks]
    assert all(branch['without'] for branch in branches)
    images = torch.randn(2, 3, 64, 64)
    losses = model.loss(images, [DataSample().set_gt_label(i) for i in range(2)])
    sum(losses.values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())

    cfg = config(name, channels)
    cfg['side_branches'] = [dict(branch, without=[]) for branch in branches]
    with torch.no_grad():  # it can be built so, too
        model = MODELS.build(cfg).eval()
        weights = model.state_dict()
        for branch in model.side_branches:
            branch.load_state_dict({key: weights[key] for key in branch.state_dict()})
        *sides, main = model.branch_logits(images)
    assert all(torch.equal(side, main) for side in sides)


def test_a_vit_is_refused():
    """TIMMBackbone gives its tokens, of which no stock head makes logits."""
    options = dict(img_size=32, depth=4, head='VisionTransformerClsHead', neck=None)
    with pytest.raises(
        TypeError, match=r'gives \(\(7, 5, 4\),\) for seven images; it must'
    ):
        MODELS.build(config('vit_tiny_patch16_224', 192, **options))


def test_trained_weights_are_the_networks_alone(tmp_path):
    """A side branch is new, whatever the network starts from."""
    weights = timm.create_model('resnet18').state_dict()
    path = tmp_path / 'weights.pth'
    torch.save(weights, path)
    model = MODELS.build(config('resnet18', 512, checkpoint_path=str(path)))
    model.init_weights()
    key = 'layer4.0.conv1.weight'
    assert torch.equal(model.backbone.timm_model.get_parameter(key), weights[key])
    for branch in model.side_branches:
        own = branch.backbone.timm_model.get_parameter(key)
        assert not torch.equal(own, weights[key])


def test_downloaded_weights_are_the_networks_alone(monkeypatch):
    asked, create = [], timm.create_model

    def without_a_network(*args, pretrained=False, **options):
        asked.append(pretrained)
        return create(*args, **options)

    monkeypatch.setattr(timm, 'create_model', without_a_network)
    MODELS.build(config('resnet18', 512, pretrained=True))
    assert asked == [True, False, False]
