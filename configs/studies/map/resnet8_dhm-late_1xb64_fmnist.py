# The side branches are forked in the second half of the training alone.
_base_ = 'resnet8_dhm_1xb64_fmnist.py'

schedule = dict(type='BranchScheduleHook', fork_prob=[(0.5, 0), (0.5, 1)])
default_hooks = dict(schedule=schedule)
