"""Side branches as rows of the paper's table."""

import pytest
import torch
from mmengine import ConfigDict
from mmpretrain.registry import MODELS

from dhm_plugin import with_stages

HEAD = dict(type='MultiBranchClsHead', num_classes=10)
ROW = [dict(num_blocks=(3, 2)), dict(num_blocks=3, widen=2, fork_prob=0.5)]


def classifier(backbone, branches, **options):
    cfg = ConfigDict(
        type='DHMClassifier',
        backbone=backbone,
        neck=dict(type='SideBranchNeck', branches=branches),
        head={**HEAD, **options},
    )
    return MODELS.build(cfg)


def test_resnet50_says_its_row():
    """What docs and configs said in full before."""
    backbone = MODELS.build(dict(type='ResNet', depth=50))
    common = dict(type='ResNetStage', block='Bottleneck')
    side0, side1 = with_stages(backbone, ROW)
    assert backbone.out_indices == (1, 2, 3)
    expected = [
        dict(in_channels=512, out_channels=1024, num_blocks=3, **common),
        dict(out_channels=2048, num_blocks=2, **common),
        dict(in_channels=1024, out_channels=4096, num_blocks=3, **common),
    ]
    for stage, wanted in zip([*side0['stages'], *side1['stages']], expected):
        assert stage.items() >= wanted.items()
    assert side1['fork_prob'] == 0.5
    assert 'widen' not in side1


def test_the_branches_go_on_as_the_backbone_does():
    backbone = dict(
        type='ResNet',
        depth=18,
        base_channels=8,
        stem_channels=8,
        in_channels=1,
        with_cp=True,
        norm_cfg=dict(type='GN', num_groups=2),
        zero_init_residual=False,
    )
    model = classifier(
        backbone, [dict(num_blocks=(1, 1)), dict(num_blocks=1)], in_channels=64
    )
    for branch in model.neck.branches:
        for stage in branch:
            assert stage.with_cp
            assert not stage.zero_init_residual
            assert isinstance(stage[0].norm1, torch.nn.GroupNorm)
    assert [logits.shape for logits in model.branch_logits(torch.rand(2, 1, 32, 32))] == [
        (2, 10)
    ] * 3


def test_the_last_stage_alone_is_widened():
    backbone = MODELS.build(dict(type='ResNet', depth=18))
    (side,) = with_stages(backbone, [dict(num_blocks=(1, 1), widen=2)])
    assert [stage['out_channels'] for stage in side['stages']] == [256, 1024]


def test_a_backbone_whose_branches_are_refused_stays():
    backbone = MODELS.build(dict(type='ResNet', depth=18))
    with pytest.raises(ValueError, match='leave out'):
        with_stages(backbone, [dict(num_blocks=1, fork=0)])
    assert backbone.out_indices == (3,)


def test_given_maps_are_kept():
    backbone = dict(type='CIFARResNet', depth=8, out_indices=(0, 2))
    model = classifier(backbone, [dict(num_blocks=(1, 1))], in_channels=64)
    assert model.backbone.out_indices == (0, 2)
    assert len(model.neck.branches[0]) == 2


@pytest.mark.parametrize(
    ('backbone', 'branches', 'message'),
    [
        (
            dict(type='ResNet', depth=18, out_indices=(2, 3)),
            [dict(num_blocks=(1, 1))],
            r'branches\[0\] has num_blocks=\[1, 1\]: 2 stages, so that it forks after '
            r"stage 1; the backbone's out_indices are \[2, 3\]",
        ),
        (
            dict(type='ResNetV1d', depth=50),
            ROW,
            'the stages of this ResNetV1d are not known; .* neck and head as they are',
        ),
        (
            dict(type='ResNet', depth=18, strides=(1, 2, 2, 1)),
            ROW,
            'the stages of this ResNet are not known',
        ),
        (
            dict(type='ResNet', depth=18, avg_down=True),
            ROW,
            'the stages of this ResNet are not known',
        ),
        (
            dict(type='ResNet', depth=50, expansion=2),
            ROW,
            'the stages of this ResNet are not known',
        ),
        (
            dict(type='ResNet', depth=50, drop_path_rate=0.3),
            ROW,
            'the stages of this ResNet are not known',
        ),
        *(
            (
                dict(type=kind, depth=50, **options),
                ROW,
                f'the stages of this {kind} are not known',
            )
            for kind, options in (
                ('ResNeXt', {}),
                ('ResNet', dict(style='caffe')),
                ('ResNet', dict(conv_cfg=dict(type='Conv2dAdaptivePadding'))),
                ('ResNet', dict(dilations=(1, 1, 1, 2))),
            )
        ),
        (
            dict(type='CIFARResNet', depth=8),
            [dict(num_blocks=(1, 1), fork=0)],
            'leave out `stages` and `fork`',
        ),
        (
            dict(type='ResNet', depth=18),
            [dict(num_blocks=())],
            r'num_blocks=\(\); it must be an integer, or a list of one for each stage',
        ),
        (
            dict(type='ResNet', depth=50),
            [dict(num_blocks=2.0)],
            r'num_blocks=2\.0; it must be an integer, or a list of one for each stage',
        ),
        (dict(type='LeNet5'), ROW, 'the stages of this LeNet5 are not known'),
        (
            dict(type='CIFARResNet', depth=8),
            [dict(num_blocks=(1, 1)), dict(stages=[])],
            'some of the branches have num_blocks, and others do not',
        ),
        (
            dict(type='CIFARResNet', depth=8),
            [dict(num_blocks=(1, 1), stages=[])],
            'leave out `stages` and `fork`',
        ),
        (dict(type='CIFARResNet', depth=8), [dict(num_blocks=(1, 0))], 'num_blocks=0'),
        *(
            (
                dict(type='ResNet', depth=18),
                [dict(num_blocks=(1, 1)), dict(num_blocks=1, widen=widen)],
                rf'branches\[1\] has widen={widen!r}; it must be an integer, at least 1',
            )
            for widen in (0, 0.5, '2')
        ),
    ],
)
def test_refuses(backbone, branches, message):
    with pytest.raises(ValueError, match=message):
        classifier(backbone, branches, in_channels=64)


def test_the_neck_alone_needs_a_backbone():
    with pytest.raises(ValueError, match='within a DHMClassifier with num_blocks'):
        MODELS.build(dict(type='SideBranchNeck', branches=[dict(num_blocks=(1, 1))]))
