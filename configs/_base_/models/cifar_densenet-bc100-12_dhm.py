_base_ = 'cifar_densenet-bc100-12.py'

stage = dict(type='DenseNetStage', bottleneck=True)
model = dict(
    type='DHMClassifier',
    backbone=dict(out_indices=(0, 1, 2)),
    neck=dict(
        type='SideBranchNeck',
        branches=[
            dict(
                stages=[
                    dict(in_channels=108, num_layers=16, growth_rate=12, **stage),
                    dict(type='DenseNetTransition', in_channels=300, out_channels=150),
                    dict(in_channels=150, num_layers=16, growth_rate=12, **stage),
                    dict(type='NormReLU', in_channels=342),
                ],
            ),
            dict(
                stages=[
                    dict(in_channels=150, num_layers=32, growth_rate=36, **stage),
                    dict(type='NormReLU', in_channels=1302),
                ],
            ),
        ],
    ),
    head=dict(type='MultiBranchClsHead', mimicking_loss=dict(type='MimickingLoss')),
)
