_base_ = ['mmpretrain::_base_/models/regnet/regnetx_400mf.py', './base.py']

model = dict(backbone=dict(in_channels=1), head=dict(num_classes=10, topk=(1,)))
