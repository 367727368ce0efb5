_base_ = 'cifar_densenet-bc190-40.py'

stage = dict(type='DenseNetStage', bottleneck=True, with_cp=True)
model = dict(
    type='DHMClassifier',
    backbone=dict(out_indices=(0, 1, 2)),
    neck=dict(
        type='SideBranchNeck',
        branches=[
            dict(
                stages=[
                    dict(in_channels=660, num_layers=16, growth_rate=40, **stage),
                    dict(type='DenseNetTransition', in_channels=1300, out_channels=650),
                    dict(in_channels=650, num_layers=16, growth_rate=40, **stage),
                    dict(type='NormReLU', in_channels=1290),
                ],
            ),
            dict(
                stages=[
                    dict(in_channels=950, num_layers=31, growth_rate=120, **stage),
                    dict(type='NormReLU', in_channels=4670),
                ],
            ),
        ],
    ),
    head=dict(type='MultiBranchClsHead', mimicking_loss=dict(type='MimickingLoss')),
)
