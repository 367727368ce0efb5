_base_ = 'cifar_densenet40-12.py'

stage = dict(type='DenseNetStage')
model = dict(
    type='DHMClassifier',
    backbone=dict(out_indices=(0, 1, 2)),
    neck=dict(
        type='SideBranchNeck',
        branches=[
            dict(
                stages=[
                    dict(in_channels=160, num_layers=12, growth_rate=12, **stage),
                    dict(type='DenseNetTransition', in_channels=304, out_channels=304),
                    dict(in_channels=304, num_layers=6, growth_rate=12, **stage),
                    dict(type='NormReLU', in_channels=376),
                ],
            ),
            dict(
                stages=[
                    dict(in_channels=304, num_layers=12, growth_rate=36, **stage),
                    dict(type='NormReLU', in_channels=736),
                ],
            ),
        ],
    ),
    head=dict(type='MultiBranchClsHead', mimicking_loss=dict(type='MimickingLoss')),
)
