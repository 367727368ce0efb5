"""Within epochs; workers that persist, stock augmentation, Mixup, CutMix, dropout."""

_base_ = '../../../configs/plain/resnet8_1xb64_digits.py'

model = dict(
    type='DHMClassifier',
    head=dict(type='StackedLinearClsHead', mid_channels=[32], dropout_rate=0.5),
    mimicking_loss=dict(type='MimickingLoss'),
)
data_preprocessor = dict(
    to_onehot=True,
    batch_augments=dict(
        augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]
    ),
)
train_dataloader = dict(
    num_workers=2,
    persistent_workers=True,
    dataset=dict(
        _delete_=True,
        type='Digits',
        split='train',
        pipeline=[
            dict(type='RandomCrop', crop_size=8, padding=1),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='PackInputs'),
        ],
    ),
)
train_cfg = dict(max_epochs=4)
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=10, max_keep_ckpts=3))
