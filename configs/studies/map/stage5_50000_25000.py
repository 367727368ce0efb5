# The fifth stage of docs/study.md: the deeper network, where it has most to learn.
_base_ = 'stage5_4000_6000.py'

options = {'train_dataloader.sampler.images': 50000}
title = '50,000 images, ResNet-20'
iterations = 25000
