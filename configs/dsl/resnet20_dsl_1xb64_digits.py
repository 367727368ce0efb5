_base_ = '../plain/resnet20_1xb64_digits.py'

model = dict(
    type='DHMClassifier',
    backbone=dict(out_indices=(0, 1, 2)),
    neck=dict(
        type='SideBranchNeck',
        branches=[
            dict(
                stages=[
                    dict(
                        type='CIFARResNetStage',
                        in_channels=16,
                        out_channels=32,
                        num_blocks=3,
                    ),
                    dict(
                        type='CIFARResNetStage',
                        in_channels=32,
                        out_channels=64,
                        num_blocks=2,
                    ),
                ]
            ),
            dict(
                stages=[
                    dict(
                        type='CIFARResNetStage',
                        in_channels=32,
                        out_channels=128,
                        num_blocks=3,
                    )
                ]
            ),
        ],
    ),
    head=dict(type='MultiBranchClsHead'),
)
