_base_ = 'resnet8_dhm_1xb64_characters.py'

model = dict(head=dict(mimicking_loss=None))
