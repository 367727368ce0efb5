"""Whole epochs and best ones; crops of whole batches, forks at random, EMA, bfloat16."""

_base_ = '../../../configs/dhm/resnet8_dhm_1xb64_digits.py'

model = dict(
    neck=dict(
        branches=[
            dict(num_blocks=(1, 1), fork_prob=0.5),
            dict(num_blocks=1, widen=2, fork_prob=0.5),
        ]
    )
)
train_cfg = dict(max_epochs=6)
default_hooks = dict(checkpoint=dict(save_best='accuracy/top1', max_keep_ckpts=2))
custom_hooks = [dict(type='EMAHook', momentum=0.01)]
