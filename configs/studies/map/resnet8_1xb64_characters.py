_base_ = ['../../_base_/models/cifar_resnet8.py', 'characters.py']

model = dict(backbone=dict(in_channels=1), head=dict(num_classes=94))
