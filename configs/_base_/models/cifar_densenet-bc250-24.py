_base_ = 'cifar_densenet-bc100-12.py'

model = dict(backbone=dict(depth=250, growth_rate=24), head=dict(in_channels=1734))
