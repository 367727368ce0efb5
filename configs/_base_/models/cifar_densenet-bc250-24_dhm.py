_base_ = 'cifar_densenet-bc250-24.py'

model = dict(
    type='DHMClassifier',
    neck=dict(
        type='SideBranchNeck',
        branches=[dict(num_blocks=(22, 22)), dict(num_blocks=41, widen=3)],
    ),
    head=dict(type='MultiBranchClsHead', mimicking_loss=dict(type='MimickingLoss')),
)
