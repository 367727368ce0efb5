# The fifth stage of docs/study.md: a deeper network.
_base_ = 'protocol.py'

methods = {
    'plain': dict(config='resnet20_1xb64_fmnist.py'),
    'dsl': dict(config='resnet20_dsl_1xb64_fmnist.py'),
    'dhm': dict(config='resnet20_dhm_1xb64_fmnist.py'),
    'plain-as-dhm': dict(config='resnet20_1xb64_fmnist.py'),
}
title = '4,000 images, ResNet-20'
iterations = 6000
