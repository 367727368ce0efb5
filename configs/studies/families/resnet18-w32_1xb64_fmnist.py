_base_ = ['mmpretrain::_base_/models/resnet18.py', './base.py']

# A quarter of the weights: half of the channels.
model = dict(
    backbone=dict(in_channels=1, stem_channels=32, base_channels=32),
    head=dict(in_channels=256, num_classes=10, topk=(1,)),
)
