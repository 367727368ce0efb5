_base_ = '../dsl/resnet20_dsl_1xb128_fmnist.py'

model = dict(head=dict(mimicking_loss=dict(type='MimickingLoss')))
