"""To a checkpoint of the stock MMPretrain config."""

from mmpretrain.models import ImageClassifier
from mmpretrain.registry import MODELS
from torch import nn

from ...models import MultiBranchClsHead, SideBranchNeck
from .. import CheckpointError
from .trained import TrainedNetwork

# What a DHMClassifier has beside an ImageClassifier.
_OWN = 'side_branches', 'mimicking_loss', 'eval_branches', 'predict_with'


def plain_model(model: dict) -> dict:
    """Turn the config of a DHMClassifier into one of the plain network.

    Args:
        model (dict): The config; neck and head are taken as they are.

    Returns:
        dict: The config of an ``ImageClassifier``.
    """
    kept = {key: value for key, value in model.items() if key not in _OWN}
    return {**kept, 'type': 'ImageClassifier'}


def check_image_classifier(trained: TrainedNetwork) -> None:
    """Check that a network has a backbone, a neck and a head.

    Args:
        trained (TrainedNetwork): The trained network.

    Raises:
        CheckpointError: If it is a classifier of another kind, such as that of timm.
    """
    if not isinstance(trained.model, ImageClassifier):
        raise CheckpointError(
            f'a {type(trained.model).__name__} is exported to onnx alone; other formats '
            'take an ImageClassifier or a DHMClassifier'
        )


def stock_network(trained: TrainedNetwork) -> nn.Module:
    """Build the plain network of a config out of MMPretrain's own parts.

    Args:
        trained (TrainedNetwork): The trained network.

    Returns:
        nn.Module: An ``ImageClassifier`` with its own weights.
    """
    model = plain_model(trained.cfg.model.to_dict())
    if isinstance(trained.model.neck, SideBranchNeck):
        model['neck'] = dict(type='GlobalAveragePooling')
        if hasattr(trained.model.backbone, 'out_indices'):
            model['backbone']['out_indices'] = tuple(trained.model.backbone.out_indices)
    if isinstance(trained.model.head, MultiBranchClsHead):
        head = model['head']
        for key in ('mimicking_loss', 'side_in_channels'):
            head.pop(key, None)
        head['type'] = 'LinearClsHead'
    return MODELS.build(model)
