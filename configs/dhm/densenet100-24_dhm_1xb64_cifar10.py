_base_ = '../dsl/densenet100-24_dsl_1xb64_cifar10.py'

model = dict(head=dict(mimicking_loss=dict(type='MimickingLoss')))
