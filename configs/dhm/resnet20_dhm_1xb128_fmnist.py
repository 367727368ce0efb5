_base_ = [
    '../_base_/models/cifar_resnet20_dhm.py',
    '../_base_/datasets/fmnist_bs128.py',
    '../_base_/schedules/fmnist_bs128.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=dict(in_channels=1))
