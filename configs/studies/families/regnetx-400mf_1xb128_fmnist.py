_base_ = [
    'mmpretrain::_base_/models/regnet/regnetx_400mf.py',
    '../../_base_/datasets/fmnist_bs128.py',
    '../../_base_/schedules/fmnist_bs128.py',
    '../../_base_/default_runtime.py',
]

model = dict(backbone=dict(in_channels=1), head=dict(num_classes=10))
