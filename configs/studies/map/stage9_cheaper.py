# The ninth stage of docs/study.md: DHM at less cost, at stage 1's setting.
_base_ = 'stage1.py'

methods = {
    '_delete_': True,
    'plain': dict(config='resnet8_1xb64_fmnist.py'),
    'dhm': dict(config='resnet8_dhm_1xb64_fmnist.py'),
    'dhm-fork0.25': dict(config='resnet8_dhm-fork0.25_1xb64_fmnist.py'),
    'dhm-early': dict(config='resnet8_dhm-early_1xb64_fmnist.py'),
    'dhm-late': dict(config='resnet8_dhm-late_1xb64_fmnist.py'),
    'dhm-narrow': dict(config='resnet8_dhm-narrow_1xb64_fmnist.py'),
    'dhm-short': dict(config='resnet8_dhm-short_1xb64_fmnist.py'),
}
claims = []
