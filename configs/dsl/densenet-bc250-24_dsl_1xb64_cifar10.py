_base_ = '../dhm/densenet-bc250-24_dhm_1xb64_cifar10.py'

model = dict(head=dict(mimicking_loss=None))
