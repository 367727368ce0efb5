_base_ = '../dsl/wrn28-10_dsl_1xb128_cifar10.py'

model = dict(head=dict(mimicking_loss=dict(type='MimickingLoss')))
