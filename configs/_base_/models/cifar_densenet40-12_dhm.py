_base_ = 'cifar_densenet40-12.py'

model = dict(
    type='DHMClassifier',
    neck=dict(
        type='SideBranchNeck',
        branches=[dict(num_blocks=(12, 6)), dict(num_blocks=12, widen=3)],
    ),
    head=dict(type='MultiBranchClsHead', mimicking_loss=dict(type='MimickingLoss')),
)
