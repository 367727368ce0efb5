_base_ = 'cifar_resnet110.py'

model = dict(
    type='DHMClassifier',
    neck=dict(
        type='SideBranchNeck',
        branches=[dict(num_blocks=(9, 9)), dict(num_blocks=18, widen=2)],
    ),
    head=dict(type='MultiBranchClsHead', mimicking_loss=dict(type='MimickingLoss')),
)
