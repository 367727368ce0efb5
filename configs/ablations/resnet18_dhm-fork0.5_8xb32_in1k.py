# In each iteration a side branch is forked with probability 0.5.
_base_ = '../dhm/resnet18_dhm_8xb32_in1k.py'

branches = [dict(branch, fork_prob=0.5) for branch in _base_.model.neck.branches]
model = dict(neck=dict(branches=branches))
