_base_ = 'cifar_wrn28-10.py'

model = dict(
    type='DHMClassifier',
    neck=dict(
        type='SideBranchNeck',
        branches=[dict(num_blocks=(4, 2)), dict(num_blocks=4, widen=2)],
    ),
    head=dict(type='MultiBranchClsHead', mimicking_loss=dict(type='MimickingLoss')),
)
