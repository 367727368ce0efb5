_base_ = ['mmpretrain::_base_/models/resnetv1d50.py', './base.py']

model = dict(
    backbone=dict(depth=18, in_channels=1, stem_channels=32, base_channels=32),
    head=dict(in_channels=256, num_classes=10, topk=(1,)),
)
