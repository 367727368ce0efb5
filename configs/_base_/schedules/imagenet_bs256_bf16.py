# In bfloat16 mixed precision, for GPUs since Ampere and CPUs with AVX512-BF16 or AMX.
_base_ = 'imagenet_bs256.py'

optim_wrapper = dict(type='BFloat16OptimWrapper')
