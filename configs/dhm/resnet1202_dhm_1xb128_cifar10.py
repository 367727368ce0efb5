_base_ = [
    '../_base_/models/cifar_resnet1202_dhm.py',
    '../_base_/datasets/cifar10_bs128.py',
    '../_base_/schedules/cifar_resnet.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=10))
