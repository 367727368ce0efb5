_base_ = '../dsl/resnet34_dsl_8xb32_in1k.py'

model = dict(head=dict(mimicking_loss=dict(type='MimickingLoss')))
