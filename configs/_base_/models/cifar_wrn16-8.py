model = dict(
    type='ImageClassifier',
    backbone=dict(type='CIFARWideResNet', depth=16, widen_factor=8, out_indices=(2,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=100,
        in_channels=512,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, 5),
    ),
)
