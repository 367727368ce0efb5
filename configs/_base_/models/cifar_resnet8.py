_base_ = 'cifar_resnet20.py'

model = dict(backbone=dict(depth=8))
