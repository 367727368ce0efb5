_base_ = 'cifar10_bs128.py'

train_dataloader = dict(batch_size=64)
