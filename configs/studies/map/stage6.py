# The sixth stage of docs/study.md: more classes, and all training images.
_base_ = 'protocol.py'

methods = {
    'plain': dict(config='resnet8_1xb64_characters.py'),
    'dsl': dict(config='resnet8_dsl_1xb64_characters.py'),
    'dhm': dict(config='resnet8_dhm_1xb64_characters.py'),
    'plain-as-dhm': dict(config='resnet8_1xb64_characters.py'),
}
options = {'train_dataloader.sampler.images': 38916}
title = '38,916 images, 94 classes'
iterations = 25000
