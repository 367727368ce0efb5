# The sixth stage of docs/study.md at stage 1's images and iterations: the classes differ.
_base_ = 'stage6.py'

options = {'train_dataloader.sampler.images': 4000}
title = '4,000 images, 94 classes'
iterations = 6000
