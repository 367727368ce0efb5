_base_ = '../dhm/wrn16-8_dhm_1xb128_cifar100.py'

model = dict(head=dict(mimicking_loss=None))
