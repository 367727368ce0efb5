# Stage 7 where plain is regularised in other ways: more weight decays, label smoothing.
_base_ = 'stage7.py'

methods = {
    'plain-smooth': dict(config='resnet8_smooth_1xb64_fmnist.py'),
}
grid = {'optim_wrapper.optimizer.weight_decay': [2e-4, 1e-3, 3e-3, 1e-2]}
seeds = [*range(20, 30)]
title = '4,000 images, a fifth of the labels wrong, regularised'
claims = [*_base_.claims, ['dhm', 'plain-smooth']]
