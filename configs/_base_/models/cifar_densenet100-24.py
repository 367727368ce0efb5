_base_ = 'cifar_densenet40-12.py'

model = dict(backbone=dict(depth=100, growth_rate=24), head=dict(in_channels=2320))
