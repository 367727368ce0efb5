_base_ = 'cifar_densenet100-12.py'

stage = dict(type='DenseNetStage')
model = dict(
    type='DHMClassifier',
    backbone=dict(out_indices=(0, 1, 2)),
    neck=dict(
        type='SideBranchNeck',
        branches=[
            dict(
                stages=[
                    dict(in_channels=400, num_layers=16, growth_rate=12, **stage),
                    dict(type='DenseNetTransition', in_channels=592, out_channels=592),
                    dict(in_channels=592, num_layers=16, growth_rate=12, **stage),
                    dict(type='NormReLU', in_channels=784),
                ],
            ),
            dict(
                stages=[
                    dict(in_channels=784, num_layers=32, growth_rate=36, **stage),
                    dict(type='NormReLU', in_channels=1936),
                ],
            ),
        ],
    ),
    head=dict(type='MultiBranchClsHead', mimicking_loss=dict(type='MimickingLoss')),
)
