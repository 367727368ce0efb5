_base_ = '../dhm/resnet1202_dhm_1xb128_cifar100.py'

model = dict(head=dict(mimicking_loss=None))
