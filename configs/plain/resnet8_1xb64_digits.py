_base_ = [
    '../_base_/models/cifar_resnet8.py',
    '../_base_/datasets/digits_bs64.py',
    '../_base_/schedules/digits_bs64.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=dict(in_channels=1))
default_hooks = dict(logger=dict(interval=10))
randomness = dict(seed=0)
