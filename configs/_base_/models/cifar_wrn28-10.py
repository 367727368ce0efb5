_base_ = 'cifar_wrn16-8.py'

model = dict(
    backbone=dict(depth=28, widen_factor=10, dropout=0.3), head=dict(in_channels=640)
)
