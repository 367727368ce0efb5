# The seventh stage of docs/study.md: a fifth of the training labels is wrong.
_base_ = 'protocol.py'

options = {'default_hooks.wrong_labels': dict(type='WrongLabelsHook', share=0.2)}
title = '4,000 images, a fifth of the labels wrong'
iterations = 6000
