_base_ = 'resnet20_1xb64_digits.py'

model = dict(backbone=dict(depth=8))
