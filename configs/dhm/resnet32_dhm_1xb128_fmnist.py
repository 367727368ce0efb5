_base_ = '../dsl/resnet32_dsl_1xb128_fmnist.py'

model = dict(head=dict(mimicking_loss=dict(type='MimickingLoss')))
