_base_ = 'cifar_resnet32.py'

model = dict(backbone=dict(depth=1202))
