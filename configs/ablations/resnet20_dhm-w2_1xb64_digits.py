_base_ = '../dhm/resnet20_dhm_1xb64_digits.py'

model = dict(head=dict(mimicking_loss=dict(loss_weight=2.0)))
