_base_ = 'resnet34.py'

stage = dict(type='ResNetStage', block='BasicBlock')
model = dict(
    type='DHMClassifier',
    backbone=dict(out_indices=(1, 2, 3)),
    neck=dict(
        type='SideBranchNeck',
        branches=[
            dict(
                stages=[
                    dict(in_channels=128, out_channels=256, num_blocks=3, **stage),
                    dict(in_channels=256, out_channels=512, num_blocks=2, **stage),
                ]
            ),
            dict(
                stages=[dict(in_channels=256, out_channels=1024, num_blocks=3, **stage)]
            ),
        ],
    ),
    head=dict(type='MultiBranchClsHead', mimicking_loss=dict(type='MimickingLoss')),
)
