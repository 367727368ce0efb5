# Data and schedule of the map; docs/study.md says why.
_base_ = [
    '../../_base_/datasets/fmnist_bs128.py',
    '../../_base_/schedules/fmnist_bs128.py',
    '../../_base_/default_runtime.py',
]

# A seed draws its part of the first 50,000 training images.
train_dataloader = dict(
    batch_size=64,
    dataset=dict(dataset=dict(indices=50000)),
    sampler=dict(_delete_=True, type='InfinitePartSampler', images=4000),
)
# The last 10,000 are held out; the test images are those of test_dataloader alone.
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(split='train', test_mode=False, indices=-10000),
)
test_dataloader = dict(num_workers=0, persistent_workers=False)

param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=300),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=300, end=6000),
]
train_cfg = dict(_delete_=True, by_epoch=False, max_iters=6000, val_interval=6000)
default_hooks = dict(
    checkpoint=dict(interval=1000, by_epoch=False, save_best=None),
)
log_processor = dict(by_epoch=False)
auto_scale_lr = dict(base_batch_size=64)
