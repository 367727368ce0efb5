# The images are RGB already. The paper gives mean and deviation for pixels in [0, 1].
data_preprocessor = dict(
    type='CropFlipPreprocessor',
    crop_size=32,
    padding=4,
    flip_prob=0.5,
    num_classes=100,
    mean=[255 * x for x in (0.49139968, 0.48215827, 0.44653124)],
    std=[255 * x for x in (0.24703233, 0.24348505, 0.26158768)],
    to_rgb=False,
)

train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    persistent_workers=False,
    pin_memory=False,
    dataset=dict(
        type='InMemoryDataset',
        dataset=dict(type='CIFAR100', data_root='data/cifar100', split='train'),
    ),
    sampler=dict(type='DefaultSampler', shuffle=True),
)

val_dataloader = dict(
    batch_size=128,
    num_workers=2,
    dataset=dict(
        type='CIFAR100',
        data_root='data/cifar100',
        split='test',
        pipeline=[dict(type='PackInputs')],
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_evaluator = dict(type='Accuracy', topk=(1, 5))

test_dataloader = val_dataloader
test_evaluator = val_evaluator
