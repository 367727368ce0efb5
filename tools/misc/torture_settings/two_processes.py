"""Two processes with two workers each; gradients of three iterations, forks at random."""

_base_ = './workers_mixed.py'

model = dict(
    side_branches=[
        dict(fork='layer1', fork_prob=0.5),
        dict(fork='layer2', fork_prob=0.5),
    ]
)
optim_wrapper = dict(type='OptimWrapper', accumulative_counts=3)
default_hooks = dict(checkpoint=dict(interval=4, save_best='accuracy/top1'))
env_cfg = dict(dist_cfg=dict(backend='gloo'))
model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
