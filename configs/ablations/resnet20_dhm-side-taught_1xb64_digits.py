# Only the side branches learn from the others.
_base_ = '../dhm/resnet20_dhm_1xb64_digits.py'

model = dict(head=dict(mimicking_loss=dict(students='side')))
