_base_ = '../dsl/resnet110_dsl_1xb128_cifar100.py'

model = dict(head=dict(mimicking_loss=dict(type='MimickingLoss')))
