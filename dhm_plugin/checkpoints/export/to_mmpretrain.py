"""To a checkpoint of the stock MMPretrain config."""

from mmpretrain.registry import MODELS
from torch import nn

from ...models import MultiBranchClsHead, SideBranchNeck
from .trained import TrainedNetwork


def stock_network(trained: TrainedNetwork) -> nn.Module:
    """Build the plain network of a config out of MMPretrain's own parts.

    Args:
        trained (TrainedNetwork): The trained network.

    Returns:
        nn.Module: An ``ImageClassifier`` with its own weights.
    """
    model = trained.cfg.model.to_dict()
    model['type'] = 'ImageClassifier'
    for key in ('side_branches', 'mimicking_loss', 'eval_branches', 'predict_with'):
        model.pop(key, None)
    if isinstance(trained.model.neck, SideBranchNeck):
        model['neck'] = dict(type='GlobalAveragePooling')
        model['backbone']['out_indices'] = tuple(trained.model.backbone.out_indices)
    if isinstance(trained.model.head, MultiBranchClsHead):
        head = model['head']
        for key in ('mimicking_loss', 'side_in_channels'):
            head.pop(key, None)
        head['type'] = 'LinearClsHead'
    return MODELS.build(model)
