# imagenet_bs32.py with DALI: a base in its place. The processes that load read files
# alone; DALI decodes, crops, resizes and flips: 'gpu' on the GPU, 'cpu' with what cores
# there are.
data_preprocessor = dict(
    type='DaliPreprocessor',
    device='gpu',
    num_classes=1000,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)

train_pipeline = [
    dict(type='LoadEncodedRandomResizedCrop', scale=224, flip_prob=0.5),
    dict(type='PackEncodedInputs'),
]

test_pipeline = [
    dict(type='LoadEncodedCenterCrop', edge=256, crop_size=224),
    dict(type='PackEncodedInputs'),
]

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    pin_memory=False,  # there are no tensors to pin
    dataset=dict(
        type='ImageNet',
        data_root='data/imagenet',
        split='train',
        pipeline=train_pipeline,
    ),
    sampler=dict(type='DefaultSampler', shuffle=True),
)

val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    pin_memory=False,
    dataset=dict(
        type='ImageNet',
        data_root='data/imagenet',
        split='val',
        pipeline=test_pipeline,
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_evaluator = dict(type='Accuracy', topk=(1, 5))

test_dataloader = val_dataloader
test_evaluator = val_evaluator
