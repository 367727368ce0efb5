_base_ = '../dsl/densenet-bc100-12_dsl_1xb64_cifar10.py'

model = dict(head=dict(mimicking_loss=dict(type='MimickingLoss')))
