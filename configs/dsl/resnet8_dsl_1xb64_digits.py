_base_ = '../dhm/resnet8_dhm_1xb64_digits.py'

model = dict(head=dict(mimicking_loss=None))
