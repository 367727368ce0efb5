"""Of what parts a classifier with side branches can be made, and of what not."""

import pytest
import torch
from mmpretrain.models import LinearClsHead
from mmpretrain.registry import MODELS

STAGE = dict(type='ResNetStage', in_channels=16, out_channels=16, num_blocks=1)
POOL = dict(type='GlobalAveragePooling')
BACKBONES = {
    'ResNet': dict(type='ResNet_CIFAR', depth=18, base_channels=4, stem_channels=4),
    'ConvNeXt': dict(type='ConvNeXt', arch=dict(depths=[1] * 4, channels=[16] * 4)),
    'DeiT': dict(
        type='VisionTransformer',
        arch=dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32),
        img_size=64,
        patch_size=16,
    ),
    'Distilled': dict(type='DistilledVisionTransformer', arch='deit-tiny', img_size=32),
    'LeViT': dict(type='LeViT', arch='128s'),
    'Conformer': dict(type='Conformer', arch='tiny'),
}
ITS_OWN = 'a loss or predictions that are not of the logits alone: it has not '


@MODELS.register_module()
class AdjustedHead(LinearClsHead):
    def _get_loss(self, cls_score, data_samples, **kwargs):
        return super()._get_loss(cls_score + 1, data_samples, **kwargs)


@MODELS.register_module()
class TemperatureHead(LinearClsHead):
    def _get_predictions(self, cls_score, data_samples):
        return super()._get_predictions(cls_score / 2, data_samples)


@MODELS.register_module()
class FlippedHead(LinearClsHead):
    def predict(self, feats, data_samples=None):
        return super().predict((feats[-1] + feats[-1].flip(0),), data_samples)


@MODELS.register_module()
class TwoLogitsHead(LinearClsHead):
    def forward(self, feats):
        return super().forward(feats), super().forward(feats)


def test_a_misspelt_head_is_named():
    """Seen: `the head is a {...}, which has no logits of its own`."""
    head = dict(type='LinearClsHed', num_classes=10, in_channels=32)
    model = dict(type='DHMClassifier', backbone=BACKBONES['ResNet'], neck=POOL, head=head)
    with pytest.raises(KeyError, match='LinearClsHed is not in the mmpretrain::model'):
        MODELS.build(model)
    head = dict(head, type='MultiBranchClsHed')
    neck = dict(type='SideBranchNeck', branches=[dict(num_blocks=1)])
    with pytest.raises(TypeError, match='the head is a MultiBranchClsHed, beside a Side'):
        MODELS.build(dict(model, neck=neck, head=head))


@pytest.mark.parametrize(
    ('neck', 'right'),
    [
        (POOL, "the plain network's"),
        (
            dict(type='SideBranchNeck', branches=[dict(num_blocks=1)]),
            'a MultiBranchClsHead',
        ),
    ],
)
def test_a_network_without_a_head_is_told_so(neck, right):
    """Seen: `the head is a NoneType`, over MMPretrain's headless configs."""
    with pytest.raises(TypeError, match=f'DHMClassifier: there is no head; give {right}'):
        MODELS.build(dict(type='DHMClassifier', backbone=BACKBONES['ResNet'], neck=neck))


@pytest.mark.parametrize(
    ('backbone', 'head', 'message'),
    [
        ('ResNet', dict(type='ArcFaceClsHead', in_channels=512), ITS_OWN),
        ('ResNet', dict(type='MultiLabelLinearClsHead', in_channels=512), ITS_OWN),
        (
            'ResNet',
            dict(
                type='MultiTaskHead',
                task_heads=dict(a=dict(type='LinearClsHead', in_channels=512)),
                in_channels=512,
            ),
            ITS_OWN,
        ),
        ('ResNet', dict(type='EfficientFormerClsHead', in_channels=512), ITS_OWN),
        (
            'ResNet',
            dict(type='AdjustedHead', in_channels=512),
            f"{ITS_OWN}_get_loss of MMPretrain's ClsHead",
        ),
        (
            'ResNet',
            dict(type='TemperatureHead', in_channels=512),
            f"{ITS_OWN}_get_predictions of MMPretrain's ClsHead",
        ),
        (
            'ResNet',
            dict(type='FlippedHead', in_channels=512),
            f"{ITS_OWN}predict of MMPretrain's ClsHead",
        ),
        (
            'Distilled',
            dict(type='DeiTClsHead', in_channels=192),
            'distilled network MMPretrain cannot train',
        ),
        (
            'LeViT',
            dict(type='LeViTClsHead', in_channels=384),
            'fails in training, .* gives: ',
        ),
        (
            'Conformer',
            dict(type='ConformerHead', in_channels=[256, 384]),
            f'{ITS_OWN}_get_loss, predict of',
        ),
        (
            'ResNet',
            dict(type='TwoLogitsHead', in_channels=32),
            r'gives \(\(7, 10\), \(7, 10\)\) for seven images; it must give one tensor',
        ),
    ],
)
def test_refuses_a_head_without_logits(backbone, head, message):
    neck = POOL if backbone in ('ResNet', 'LeViT') else None
    head = dict(head, num_classes=10)
    with pytest.raises(TypeError, match=f'DHMClassifier: the head.* {head["type"]}') as e:
        MODELS.build(
            dict(
                type='DHMClassifier',
                backbone=BACKBONES[backbone],
                neck=neck,
                head=head,
            )
        )
    assert e.match(message)
    assert str(e.value).count('DHMClassifier: ') == 1


def test_refuses_lora():
    """Its hook takes the head out of every checkpoint."""
    backbone = dict(
        type='LoRAModel',
        module=BACKBONES['DeiT'],
        alpha=1,
        rank=1,
        targets=[dict(type='qkv')],
    )
    head = dict(type='VisionTransformerClsHead', num_classes=10, in_channels=16)
    stock = MODELS.build(dict(type='ImageClassifier', backbone=backbone, head=head))
    assert any(key.startswith('head.') for key in stock.state_dict())
    with pytest.raises(TypeError, match='is a LoRAModel, whose checkpoints hold its own'):
        MODELS.build(dict(type='DHMClassifier', backbone=backbone, head=head))


@pytest.mark.parametrize('role', ['backbone', 'neck', 'head'])
def test_refuses_a_module_instead_of_its_config(role):
    parts = dict(
        backbone=dict(type='ResNet_CIFAR', depth=18),
        neck=POOL,
        head=dict(type='LinearClsHead', num_classes=10, in_channels=512),
    )
    parts[role] = MODELS.build(parts[role])
    with pytest.raises(TypeError, match=f'the {role} is a module; .* give its config'):
        MODELS.build(dict(type='DHMClassifier', **parts))


@pytest.mark.parametrize(
    ('backbone', 'head', 'option'),
    [
        ('ConvNeXt', 'LinearClsHead', dict(gap_before_final_norm=False)),
        ('DeiT', 'VisionTransformerClsHead', dict(out_type='featmap')),
    ],
)
def test_refuses_another_network_than_the_stock_one(backbone, head, option):
    """It has the stock network's keys, but not its logits."""
    backbone = BACKBONES[backbone]
    head = dict(type=head, num_classes=10, in_channels=16)
    stock = dict(type='ImageClassifier', backbone=backbone, head=head)
    stock = MODELS.build(stock).eval()
    changed = dict(
        type='ImageClassifier',
        backbone=dict(backbone, **option),
        neck=POOL,
        head=dict(head, type='LinearClsHead'),
    )
    changed = MODELS.build(changed).eval()
    for parameter in stock.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    changed.backbone.load_state_dict(stock.backbone.state_dict())
    classifier = getattr(stock.head, 'fc', None) or stock.head.layers.head
    changed.head.fc.load_state_dict(classifier.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert (stock(images) - changed(images)).abs().max() > 0.01

    described = dict(
        type='DHMClassifier',
        backbone=dict(backbone, out_indices=(2, 3), **option),
        neck=dict(type='SideBranchNeck', branches=[dict(stages=[STAGE])]),
        head=dict(type='MultiBranchClsHead', num_classes=10, in_channels=16),
    )
    ((name, value),) = option.items()
    with pytest.raises(ValueError, match=f'with {name}={value!r} is another network'):
        MODELS.build(described)
    # Without it there are no maps: the message says what to write.
    described['backbone'] = dict(backbone, out_indices=(2, 3))
    with pytest.raises(ValueError, match=r"model = dict\(type='DHMClassifier', mimic"):
        MODELS.build(described)
