# The eighth stage of docs/study.md: the plain network's curve, at stage 1's setting.
_base_ = 'stage1.py'

methods = {
    '_delete_': True,
    'plain': dict(config='resnet8_1xb64_fmnist.py'),
    'plain-1.5': dict(config='resnet8_1xb64_fmnist.py', iterations=9000),
    'plain-4': dict(config='resnet8_1xb64_fmnist.py', iterations=24000),
    'plain-8': dict(config='resnet8_1xb64_fmnist.py', iterations=48000),
}
claims = []
