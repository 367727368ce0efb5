# The sixth stage of docs/study.md, with stage 1's number of images and iterations.
_base_ = 'stage6.py'

options = {'train_dataloader.sampler.images': 4000}
title = '4,000 images, 94 classes'
iterations = 6000
