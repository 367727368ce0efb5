_base_ = 'resnet50.py'

stage = dict(type='ResNetStage', block='Bottleneck')
model = dict(
    type='DHMClassifier',
    backbone=dict(out_indices=(1, 2, 3)),
    neck=dict(
        type='SideBranchNeck',
        branches=[
            dict(
                stages=[
                    dict(in_channels=512, out_channels=1024, num_blocks=3, **stage),
                    dict(in_channels=1024, out_channels=2048, num_blocks=2, **stage),
                ]
            ),
            dict(
                stages=[dict(in_channels=1024, out_channels=4096, num_blocks=3, **stage)]
            ),
        ],
    ),
    head=dict(type='MultiBranchClsHead', mimicking_loss=dict(type='MimickingLoss')),
)
