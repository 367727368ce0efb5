# As imagenet_bs32.py, from what prepare_imagenet.py --pack wrote.
_base_ = 'imagenet_bs32.py'

train_dataloader = dict(
    dataset=dict(type='PackedImageNet', data_root='data/imagenet/packed')
)
val_dataloader = dict(
    dataset=dict(type='PackedImageNet', data_root='data/imagenet/packed')
)
test_dataloader = val_dataloader
