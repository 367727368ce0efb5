_base_ = [
    '../_base_/models/cifar_densenet40-12_dhm.py',
    '../_base_/datasets/cifar10_bs64.py',
    '../_base_/schedules/cifar_densenet.py',
    '../_base_/default_runtime.py',
]

model = dict(head=dict(num_classes=10))
