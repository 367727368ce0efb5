# One-way self-distillation: the side branches learn from the main branch alone.
_base_ = 'resnet8_dhm_1xb64_fmnist.py'

model = dict(head=dict(mimicking_loss=dict(students='side', teachers='main')))
