_base_ = 'cifar_densenet-bc250-24.py'

stage = dict(type='DenseNetStage', bottleneck=True)
model = dict(
    type='DHMClassifier',
    backbone=dict(out_indices=(0, 1, 2)),
    neck=dict(
        type='SideBranchNeck',
        branches=[
            dict(
                stages=[
                    dict(in_channels=516, num_layers=22, growth_rate=24, **stage),
                    dict(type='DenseNetTransition', in_channels=1044, out_channels=522),
                    dict(in_channels=522, num_layers=22, growth_rate=24, **stage),
                    dict(type='NormReLU', in_channels=1050),
                ],
            ),
            dict(
                stages=[
                    dict(in_channels=750, num_layers=41, growth_rate=72, **stage),
                    dict(type='NormReLU', in_channels=3702),
                ],
            ),
        ],
    ),
    head=dict(type='MultiBranchClsHead', mimicking_loss=dict(type='MimickingLoss')),
)
