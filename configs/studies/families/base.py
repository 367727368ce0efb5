# Data and schedule of a short check: half of the training images, 6 epochs.
_base_ = [
    '../../_base_/datasets/fmnist_bs128.py',
    '../../_base_/schedules/fmnist_bs128.py',
    '../../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(dataset=dict(indices=30000)))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=6, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=6, val_interval=2)
