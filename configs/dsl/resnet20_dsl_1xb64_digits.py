_base_ = '../dhm/resnet20_dhm_1xb64_digits.py'

model = dict(head=dict(mimicking_loss=None))
