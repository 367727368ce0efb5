# The ninth stage of docs/study.md: other weights of the mimicking loss.
_base_ = 'stage1.py'

methods = {
    '_delete_': True,
    'plain': dict(config='resnet8_1xb64_fmnist.py'),
    'dhm': dict(config='resnet8_dhm_1xb64_fmnist.py'),
    'dhm-ramp': dict(config='resnet8_dhm-ramp_1xb64_fmnist.py'),
    'dhm-w0.5': dict(config='resnet8_dhm-w0.5_1xb64_fmnist.py'),
    'dhm-w2': dict(config='resnet8_dhm-w2_1xb64_fmnist.py'),
}
claims = []
