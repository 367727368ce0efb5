"""What several hooks use."""

from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn


def network_of(runner: Runner) -> nn.Module:
    """Give the runner's network without what wraps it.

    Args:
        runner (Runner): The runner.

    Returns:
        nn.Module: The model inside distributed wrappers and test-time augmentation.
    """
    model = runner.model
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model
