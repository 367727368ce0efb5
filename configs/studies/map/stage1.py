# The first stage of docs/study.md. The first method is what the others are compared with.
methods = {
    'plain': dict(config='resnet8_1xb64_fmnist.py'),
    'dsl': dict(config='resnet8_dsl_1xb64_fmnist.py'),
    'dhm': dict(config='resnet8_dhm_1xb64_fmnist.py'),
    'dhm-fork0.5': dict(config='resnet8_dhm-fork0.5_1xb64_fmnist.py'),
    'dhm-main-teaches': dict(config='resnet8_dhm-main-teaches_1xb64_fmnist.py'),
    # So many iterations that they have the FLOPs of DHM's training.
    'plain-as-dhm': dict(config='resnet8_1xb64_fmnist.py', costs='dhm'),
}
iterations = 6000
options = {'train_dataloader.sampler.images': 4000}

grid = {
    'optim_wrapper.optimizer.lr': [0.03, 0.1, 0.3],
    'optim_wrapper.optimizer.weight_decay': [2e-4, 1e-3],
}
tuning_seeds = [0, 1]
seeds = [*range(10, 20)]

claims = [['dhm', 'plain'], ['dhm', 'dsl'], ['dhm', 'plain-as-dhm']]
