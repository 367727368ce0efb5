_base_ = ['mmpretrain::_base_/models/repvgg-A0_in1k.py', './base.py']

model = dict(
    backbone=dict(in_channels=1, base_channels=32),
    head=dict(in_channels=640, num_classes=10, topk=(1,)),
)
