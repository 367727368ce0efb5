_base_ = 'cifar_densenet-bc100-12.py'

model = dict(
    backbone=dict(depth=190, growth_rate=40, with_cp=True), head=dict(in_channels=2190)
)
