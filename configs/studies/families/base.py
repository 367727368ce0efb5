# Data and schedule of a short check: half of the training images, 2 epochs.
_base_ = [
    '../../_base_/datasets/fmnist_bs128.py',
    '../../_base_/schedules/fmnist_bs128.py',
    '../../_base_/default_runtime.py',
]

# Large shifts are learnt late.
data_preprocessor = dict(padding=1)
train_dataloader = dict(batch_size=64, dataset=dict(dataset=dict(indices=30000)))
optim_wrapper = dict(optimizer=dict(lr=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=100),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=100, end=938),
]
train_cfg = dict(max_epochs=2, val_interval=2)
auto_scale_lr = dict(base_batch_size=64)
