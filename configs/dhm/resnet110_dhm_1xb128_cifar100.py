_base_ = [
    '../_base_/models/cifar_resnet110_dhm.py',
    '../_base_/datasets/cifar100_bs128.py',
    '../_base_/schedules/cifar_resnet.py',
    '../_base_/default_runtime.py',
]
