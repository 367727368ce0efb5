_base_ = '../dhm/resnet20_dhm_1xb64_digits.py'

optim_wrapper = dict(type='OptimWrapper')
