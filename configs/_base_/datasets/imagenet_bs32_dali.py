# As imagenet_bs32.py, with DALI. The processes that load read files alone; DALI decodes,
# crops, resizes and flips: 'gpu' on the GPU, 'cpu' with what cores there are.
_base_ = 'imagenet_bs32.py'

data_preprocessor = dict(type='DaliPreprocessor', device='gpu')

train_pipeline = [
    dict(type='LoadEncodedRandomResizedCrop', scale=224, flip_prob=0.5),
    dict(type='PackEncodedInputs'),
]

test_pipeline = [
    dict(type='LoadEncodedCenterCrop', edge=256, crop_size=224),
    dict(type='PackEncodedInputs'),
]

train_dataloader = dict(
    num_workers=2,
    pin_memory=False,  # there are no tensors to pin
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=2, pin_memory=False, dataset=dict(pipeline=test_pipeline)
)
test_dataloader = val_dataloader
