_base_ = ['mmpretrain::_base_/models/shufflenet_v2_1x.py', './base.py']

model = dict(head=dict(num_classes=10, topk=(1,)))
