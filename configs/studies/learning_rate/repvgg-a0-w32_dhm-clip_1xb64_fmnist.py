# All gradients together are no longer than 1.
_base_ = 'repvgg-a0-w32_dhm_1xb64_fmnist.py'

optim_wrapper = dict(clip_grad=dict(max_norm=1))
