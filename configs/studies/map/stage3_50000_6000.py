# The third stage of docs/study.md: all images that are not held out.
_base_ = 'protocol.py'

options = {'train_dataloader.sampler.images': 50000}
title = '50,000 images'
iterations = 6000
