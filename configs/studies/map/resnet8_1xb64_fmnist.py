_base_ = ['../../_base_/models/cifar_resnet8.py', 'base.py']

model = dict(backbone=dict(in_channels=1))
