# Mean and standard deviation of the training pixels, which are 0 to 16.
data_preprocessor = dict(
    type='CropFlipPreprocessor',
    crop_size=8,
    padding=1,
    num_classes=10,
    mean=[4.89],
    std=[6.01],
)

train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    persistent_workers=False,
    pin_memory=False,
    dataset=dict(type='InMemoryDataset', dataset=dict(type='Digits', split='train')),
    sampler=dict(type='DefaultSampler', shuffle=True),
)

val_dataloader = dict(
    batch_size=360,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(type='Digits', split='test', pipeline=[dict(type='PackInputs')]),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_evaluator = dict(type='Accuracy', topk=(1,))

test_dataloader = val_dataloader
test_evaluator = val_evaluator
