_base_ = 'resnet18.py'

model = dict(
    type='DHMClassifier',
    neck=dict(
        type='SideBranchNeck',
        branches=[dict(num_blocks=(1, 2)), dict(num_blocks=2, widen=2)],
    ),
    head=dict(type='MultiBranchClsHead', mimicking_loss=dict(type='MimickingLoss')),
)
