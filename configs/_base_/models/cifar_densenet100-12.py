model = dict(
    type='ImageClassifier',
    backbone=dict(type='CIFARDenseNet', depth=100, growth_rate=12, out_indices=(2,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=100,
        in_channels=1168,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, 5),
    ),
)
