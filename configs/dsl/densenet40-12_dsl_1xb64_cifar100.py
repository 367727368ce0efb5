_base_ = '../dhm/densenet40-12_dhm_1xb64_cifar100.py'

model = dict(head=dict(mimicking_loss=None))
