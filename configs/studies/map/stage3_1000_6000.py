# The third stage of docs/study.md: fewer images.
_base_ = 'protocol.py'

options = {'train_dataloader.sampler.images': 1000}
title = '1,000 images'
iterations = 6000
