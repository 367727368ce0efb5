# The stages are written out: the rows of the map's study were trained with this text.
_base_ = 'cifar_resnet8.py'

stage = dict(type='CIFARResNetStage', num_blocks=1)
model = dict(
    type='DHMClassifier',
    backbone=dict(out_indices=(0, 1, 2)),
    neck=dict(
        type='SideBranchNeck',
        branches=[
            dict(
                stages=[
                    dict(in_channels=16, out_channels=32, **stage),
                    dict(in_channels=32, out_channels=64, **stage),
                ],
            ),
            dict(stages=[dict(in_channels=32, out_channels=128, **stage)]),
        ],
    ),
    head=dict(type='MultiBranchClsHead', mimicking_loss=dict(type='MimickingLoss')),
)
