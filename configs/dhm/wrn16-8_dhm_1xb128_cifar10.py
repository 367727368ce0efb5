_base_ = [
    '../_base_/models/cifar_wrn16-8_dhm.py',
    '../_base_/datasets/cifar10_bs128.py',
    '../_base_/schedules/cifar_wrn.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=10))
