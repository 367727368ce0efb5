_base_ = [
    '../_base_/models/cifar_densenet-bc190-40_dhm.py',
    '../_base_/datasets/cifar100_bs64.py',
    '../_base_/schedules/cifar_densenet.py',
    '../_base_/default_runtime.py',
]
