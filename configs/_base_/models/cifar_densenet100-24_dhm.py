_base_ = 'cifar_densenet100-24.py'

stage = dict(type='DenseNetStage')
model = dict(
    type='DHMClassifier',
    backbone=dict(out_indices=(0, 1, 2)),
    neck=dict(
        type='SideBranchNeck',
        branches=[
            dict(
                stages=[
                    dict(in_channels=784, num_layers=16, growth_rate=24, **stage),
                    dict(type='DenseNetTransition', in_channels=1168, out_channels=1168),
                    dict(in_channels=1168, num_layers=16, growth_rate=24, **stage),
                    dict(type='NormReLU', in_channels=1552),
                ],
            ),
            dict(
                stages=[
                    dict(in_channels=1552, num_layers=32, growth_rate=72, **stage),
                    dict(type='NormReLU', in_channels=3856),
                ],
            ),
        ],
    ),
    head=dict(type='MultiBranchClsHead', mimicking_loss=dict(type='MimickingLoss')),
)
