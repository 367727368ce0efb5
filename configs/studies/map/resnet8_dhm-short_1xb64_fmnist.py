# One side branch, forked after stage 2, of the network's width.
_base_ = 'resnet8_dhm_1xb64_fmnist.py'

model = dict(neck=dict(branches=[dict(num_blocks=1)]))
