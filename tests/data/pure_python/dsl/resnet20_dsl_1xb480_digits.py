from mmengine.config import read_base

from dhm_plugin import CIFARResNetStage, DHMClassifier, MultiBranchClsHead, SideBranchNeck

with read_base():
    from ..digits import *  # noqa: F403

stage = dict(type=CIFARResNetStage, num_blocks=1)
branches = [
    dict(
        stages=[
            dict(in_channels=16, out_channels=32, **stage),
            dict(in_channels=32, out_channels=64, **stage),
        ]
    ),
    dict(stages=[dict(in_channels=32, out_channels=128, **stage)]),
]
model.update(  # noqa: F405
    type=DHMClassifier,
    backbone=dict(out_indices=(0, 1, 2)),
    head=dict(type=MultiBranchClsHead),
)
model['neck'] = dict(type=SideBranchNeck, branches=branches)  # noqa: F405
