_base_ = 'cifar100_bs128.py'

data = dict(type='CIFAR10', data_root='data/cifar10')
data_preprocessor = dict(num_classes=10)
train_dataloader = dict(dataset=dict(dataset=data))
val_dataloader = dict(dataset=data)
test_dataloader = dict(dataset=data)
