_base_ = 'cifar_wrn28-10.py'

stage = dict(type='WideResNetStage', dropout=0.3)
model = dict(
    type='DHMClassifier',
    backbone=dict(out_indices=(0, 1, 2)),
    neck=dict(
        type='SideBranchNeck',
        branches=[
            dict(
                stages=[
                    dict(in_channels=160, out_channels=320, num_blocks=4, **stage),
                    dict(in_channels=320, out_channels=640, num_blocks=2, **stage),
                    dict(type='NormReLU', in_channels=640),
                ],
            ),
            dict(
                stages=[
                    dict(in_channels=320, out_channels=1280, num_blocks=4, **stage),
                    dict(type='NormReLU', in_channels=1280),
                ],
            ),
        ],
    ),
    head=dict(type='MultiBranchClsHead', mimicking_loss=dict(type='MimickingLoss')),
)
