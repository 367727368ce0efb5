# The first stage of docs/study.md: all methods.
_base_ = 'protocol.py'

methods = {
    'dhm-fork0.5': dict(config='resnet8_dhm-fork0.5_1xb64_fmnist.py'),
    'dhm-main-teaches': dict(config='resnet8_dhm-main-teaches_1xb64_fmnist.py'),
}
iterations = 6000
