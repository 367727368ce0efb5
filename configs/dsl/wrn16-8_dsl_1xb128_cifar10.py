_base_ = '../dhm/wrn16-8_dhm_1xb128_cifar10.py'

model = dict(head=dict(mimicking_loss=None))
