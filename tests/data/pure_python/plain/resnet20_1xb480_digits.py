from mmengine.config import read_base

with read_base():
    from ..digits import *  # noqa: F403
