_base_ = '../dsl/resnet1202_dsl_1xb128_cifar10.py'

model = dict(head=dict(mimicking_loss=dict(type='MimickingLoss')))
