"""Within epochs; float16, whose loss scale skips steps and grows; EMA, dropout."""

_base_ = './workers_mixed.py'

optim_wrapper = dict(
    type='AmpOptimWrapper',
    dtype='float16',
    # Too large for the first steps; soon grows again.
    loss_scale=dict(init_scale=2.0**24, growth_interval=5),
)
custom_hooks = [dict(type='EMAHook', momentum=0.01)]
