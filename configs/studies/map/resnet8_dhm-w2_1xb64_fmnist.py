_base_ = 'resnet8_dhm_1xb64_fmnist.py'

model = dict(head=dict(mimicking_loss=dict(loss_weight=2.0)))
