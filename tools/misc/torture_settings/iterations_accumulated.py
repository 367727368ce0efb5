"""Over iterations; new workers, stock augmentation, gradients of three iterations."""

_base_ = './workers_mixed.py'

optim_wrapper = dict(type='OptimWrapper', accumulative_counts=3)
param_scheduler = dict(_delete_=True, type='LinearLR', by_epoch=False, begin=0, end=60)
train_dataloader = dict(
    persistent_workers=False, sampler=dict(type='InfiniteSampler', shuffle=True)
)
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=80, val_interval=20)
