_base_ = 'cifar_wrn16-8.py'

stage = dict(type='WideResNetStage')
model = dict(
    type='DHMClassifier',
    backbone=dict(out_indices=(0, 1, 2)),
    neck=dict(
        type='SideBranchNeck',
        branches=[
            dict(
                stages=[
                    dict(in_channels=128, out_channels=256, num_blocks=2, **stage),
                    dict(in_channels=256, out_channels=512, num_blocks=1, **stage),
                    dict(type='NormReLU', in_channels=512),
                ],
            ),
            dict(
                stages=[
                    dict(in_channels=256, out_channels=1024, num_blocks=2, **stage),
                    dict(type='NormReLU', in_channels=1024),
                ],
            ),
        ],
    ),
    head=dict(type='MultiBranchClsHead', mimicking_loss=dict(type='MimickingLoss')),
)
