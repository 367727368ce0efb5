_base_ = '../dsl/resnet20_dsl_1xb64_digits.py'

model = dict(head=dict(mimicking_loss=dict(type='MimickingLoss')))
