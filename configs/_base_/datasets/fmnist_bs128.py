# Mean and standard deviation of the training pixels.
data_preprocessor = dict(
    type='CropFlipPreprocessor',
    crop_size=28,
    padding=4,
    flip_prob=0.5,
    num_classes=10,
    mean=[72.94],
    std=[90.02],
)

data = dict(type='FashionMNIST', data_root='data/fashion_mnist')
train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    persistent_workers=False,
    pin_memory=False,
    dataset=dict(type='InMemoryDataset', dataset=dict(split='train', **data)),
    sampler=dict(type='DefaultSampler', shuffle=True),
)

# MMPretrain 1.2.0 picks the files by test_mode and not by split.
val_dataloader = dict(
    batch_size=500,
    num_workers=2,
    dataset=dict(
        split='test', test_mode=True, pipeline=[dict(type='PackInputs')], **data
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_evaluator = dict(type='Accuracy', topk=(1,))

test_dataloader = val_dataloader
test_evaluator = val_evaluator
