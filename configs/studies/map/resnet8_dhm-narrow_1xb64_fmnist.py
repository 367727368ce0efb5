# Side branches of half the network's width.
_base_ = 'resnet8_dhm_1xb64_fmnist.py'

stage = dict(type='CIFARResNetStage', num_blocks=1)
branches = [
    dict(
        stages=[
            dict(in_channels=16, out_channels=16, **stage),
            dict(out_channels=32, **stage),
        ]
    ),
    dict(stages=[dict(in_channels=32, out_channels=32, **stage)]),
]
model = dict(neck=dict(branches=branches))
