_base_ = 'cifar_densenet40-12.py'

model = dict(backbone=dict(depth=100), head=dict(in_channels=1168))
