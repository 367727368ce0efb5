model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='CIFARWideResNet', depth=28, widen_factor=10, dropout=0.3, out_indices=(2,)
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=100,
        in_channels=640,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, 5),
    ),
)
