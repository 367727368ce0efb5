# The map's set of many classes: printable ASCII characters of typefaces. Its training
# images, held-out images and test images are of different families.
_base_ = 'base.py'

# Mean and standard deviation of the training pixels. A mirrored b is a d.
data_preprocessor = dict(
    crop_size=32, flip_prob=0.0, num_classes=94, mean=[19.3], std=[62.1]
)

data = dict(
    type='MNIST',
    data_root='data/characters',
    metainfo=dict(classes=[chr(code) for code in range(33, 127)]),
)
train_dataloader = dict(
    dataset=dict(dataset=dict(indices=38916, **data)), sampler=dict(images=38916)
)
val_dataloader = dict(dataset=dict(indices=-9118, **data))
test_dataloader = dict(dataset=data)
