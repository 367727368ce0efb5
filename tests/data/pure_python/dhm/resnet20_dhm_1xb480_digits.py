from mmengine.config import read_base

from dhm_plugin import MimickingLoss

with read_base():
    from ..dsl.resnet20_dsl_1xb480_digits import *  # noqa: F403

model.update(head=dict(mimicking_loss=dict(type=MimickingLoss)))  # noqa: F405
