# What all stages of docs/study.md share. The others are compared with the first method.
methods = {
    'plain': dict(config='resnet8_1xb64_fmnist.py'),
    'dsl': dict(config='resnet8_dsl_1xb64_fmnist.py'),
    'dhm': dict(config='resnet8_dhm_1xb64_fmnist.py'),
    # So many iterations that they have the FLOPs of DHM's training.
    'plain-as-dhm': dict(config='resnet8_1xb64_fmnist.py', costs='dhm'),
}
options = {'train_dataloader.sampler.images': 4000}
title = '4,000 images'

grid = {
    'optim_wrapper.optimizer.lr': [0.03, 0.1, 0.3],
    'optim_wrapper.optimizer.weight_decay': [2e-4, 1e-3],
}
tuning_seeds = [0, 1]
seeds = [*range(10, 20)]

claims = [['dhm', 'plain'], ['dhm', 'dsl'], ['dhm', 'plain-as-dhm']]
