_base_ = '../dhm/resnet34_dhm_8xb32_in1k.py'

model = dict(head=dict(mimicking_loss=None))
