# The eighth stage of docs/study.md: the plain network's curve, with all images.
_base_ = 'stage3_50000_25000.py'

methods = {
    '_delete_': True,
    'plain': dict(config='resnet8_1xb64_fmnist.py'),
    'plain-1.5': dict(config='resnet8_1xb64_fmnist.py', iterations=37500),
    'plain-4': dict(config='resnet8_1xb64_fmnist.py', iterations=100000),
}
claims = []
