# What mends a training with side branches that is too fast? Tuned alone: no test images.
methods = {
    'plain': dict(config='repvgg-a0-w32_1xb64_fmnist.py'),
    'dsl': dict(config='repvgg-a0-w32_dsl_1xb64_fmnist.py'),
    'dhm': dict(config='repvgg-a0-w32_dhm_1xb64_fmnist.py'),
    'dhm-ramp': dict(config='repvgg-a0-w32_dhm-ramp_1xb64_fmnist.py'),
    'dhm-clip': dict(config='repvgg-a0-w32_dhm-clip_1xb64_fmnist.py'),
}
iterations = 1000
title = '50,000 images'
grid = {'optim_wrapper.optimizer.lr': [0.0125, 0.025, 0.05, 0.1]}
tuning_seeds = [0, 1]
seeds = [*range(10, 15)]
