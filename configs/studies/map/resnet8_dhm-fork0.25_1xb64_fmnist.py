# In each iteration a side branch is forked with probability 0.25.
_base_ = 'resnet8_dhm_1xb64_fmnist.py'

branches = [dict(branch, fork_prob=0.25) for branch in _base_.model.neck.branches]
model = dict(neck=dict(branches=branches))
