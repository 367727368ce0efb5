# The weight of the mimicking loss rises from 0 to 1 in the first half of the training.
_base_ = 'repvgg-a0-w32_dhm_1xb64_fmnist.py'

schedule = dict(type='BranchScheduleHook', loss_weight=[(0, 0), (0.5, 1)])
default_hooks = dict(schedule=schedule)
