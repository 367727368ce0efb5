_base_ = '../dsl/densenet-bc250-24_dsl_1xb64_cifar100.py'

model = dict(head=dict(mimicking_loss=dict(type='MimickingLoss')))
