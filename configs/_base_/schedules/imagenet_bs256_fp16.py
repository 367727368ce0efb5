# In float16 mixed precision, for GPUs without bfloat16; as `train.py --amp` does.
_base_ = 'imagenet_bs256.py'

optim_wrapper = dict(type='AmpOptimWrapper', dtype='float16', loss_scale='dynamic')
