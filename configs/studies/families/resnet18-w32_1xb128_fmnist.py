_base_ = [
    'mmpretrain::_base_/models/resnet18.py',
    '../../_base_/datasets/fmnist_bs128.py',
    '../../_base_/schedules/fmnist_bs128.py',
    '../../_base_/default_runtime.py',
]

# A quarter of the weights: half of the channels.
model = dict(
    backbone=dict(in_channels=1, stem_channels=32, base_channels=32),
    head=dict(in_channels=256, num_classes=10, topk=(1,)),
)
train_dataloader = dict(dataset=dict(dataset=dict(indices=30000)))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=6, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=6, val_interval=2)
