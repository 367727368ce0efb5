_base_ = '../dhm/densenet100-12_dhm_1xb64_cifar10.py'

model = dict(head=dict(mimicking_loss=None))
