_base_ = ['../../_base_/models/cifar_resnet20.py', 'base.py']

model = dict(backbone=dict(in_channels=1))
