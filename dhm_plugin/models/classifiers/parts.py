"""Of what parts a classifier can be made."""

from collections.abc import Sequence
from typing import Any

from mmengine.utils import is_seq_of
from mmpretrain.models import ClsHead, DeiTClsHead, LoRAModel
from mmpretrain.registry import MODELS
from torch import nn

from ..heads import MultiBranchClsHead
from ..necks import SideBranchNeck, with_stages

# By these MMPretrain's ClsHead trains and predicts; branches do as it does.
_OF_CLS_HEAD = ('loss', '_get_loss', 'predict', '_get_predictions')
# Options that make feature maps of what the stock network pools before its last norm.
_MOVES_THE_LAST_NORM = (('gap_before_final_norm', False), ('out_type', 'featmap'))
_PLAIN = (
    "leave the plain network's neck and head as they are and give DHMClassifier the "
    'mimicking_loss'
)


def is_of_type(part: Any, expected: type) -> bool:
    """Say whether a part, or what its config builds, is of a type.

    Args:
        part (Any): A module or a config.
        expected (type): The type.

    Returns:
        bool: Whether it is so.
    """
    kind = _type_of(part)
    return isinstance(kind, type) and issubclass(kind, expected)


def build_described(
    backbone: dict | nn.Module,
    neck: dict | SideBranchNeck,
    head: dict | nn.Module | None,
) -> tuple[nn.Module, SideBranchNeck, MultiBranchClsHead]:
    """Build a backbone, the neck that describes side branches, and the head beside it.

    Args:
        backbone (dict | nn.Module): The backbone.
        neck (dict | SideBranchNeck): The neck.
        head (dict | MultiBranchClsHead): The head; its ``side_in_channels`` are the
            neck's where the config does not give them.

    Returns:
        tuple: The three.

    Raises:
        TypeError: If there is no head, or it is of another type.
        ValueError: If the branches do not fit the backbone.
    """
    _check_there_is(head, 'a MultiBranchClsHead')
    if not is_of_type(head, MultiBranchClsHead):
        raise TypeError(
            f'DHMClassifier: the head is a {_name_of(head)}, beside a SideBranchNeck; it '
            f'must be a MultiBranchClsHead, or {_PLAIN}'
        )
    if isinstance(backbone, dict):
        backbone = MODELS.build(backbone)
    _check_stock_network(backbone)
    indices = getattr(backbone, 'out_indices', ())
    if list(indices) != sorted(indices):
        raise ValueError(
            f'DHMClassifier: the backbone has out_indices={indices}; they must be in '
            "order, for the last map is the main branch's"
        )
    if isinstance(neck, dict):
        branches = neck.get('branches')
        if is_seq_of(branches, dict):
            neck = {**neck, 'branches': with_stages(backbone, branches)}
        neck = MODELS.build(neck)
    if isinstance(head, dict):
        head = MODELS.build({'side_in_channels': neck.side_channels, **head})
    return backbone, neck, head


def check_plain(
    backbone: dict | nn.Module,
    neck: dict | Sequence[dict] | nn.Module | None,
    head: dict | nn.Module | None,
) -> None:
    """Check that side branches can be derived of a plain network.

    Args:
        backbone (dict): Its backbone.
        neck (dict | list | None): Its neck.
        head (dict): Its head.

    Raises:
        TypeError: If one of them is no config, there is no head or it computes a loss or
            predictions of its own, or the backbone is a ``LoRAModel``.
    """
    if is_of_type(head, MultiBranchClsHead):
        raise TypeError(
            f'DHMClassifier: the neck is a {_name_of(neck)}, beside a '
            f'MultiBranchClsHead; it must be a SideBranchNeck, or {_PLAIN}'
        )
    for role, part in (('backbone', backbone), ('neck', neck), ('head', head)):
        if isinstance(part, nn.Module):
            raise TypeError(
                f'DHMClassifier: the {role} is a module; side branches are derived of '
                'configs, so give its config, or describe them in a SideBranchNeck'
            )
    if is_of_type(backbone, LoRAModel):
        raise TypeError(
            'DHMClassifier: the backbone is a LoRAModel, whose checkpoints hold its own '
            'weights alone, and would lose the head and the side branches; take the '
            'network in it as the backbone'
        )
    if is_of_type(head, DeiTClsHead):
        raise TypeError(
            'DHMClassifier: the head is a DeiTClsHead, whose distilled network '
            'MMPretrain cannot train; take VisionTransformer with '
            'VisionTransformerClsHead'
        )
    _check_there_is(head, "the plain network's")
    kind = _type_of(head)
    own = [n for n in _OF_CLS_HEAD if getattr(kind, n, None) is not getattr(ClsHead, n)]
    # Of a type that is not registered the registry tells.
    if own and kind is not None:
        raise TypeError(
            f'DHMClassifier: the head is a {_name_of(head)}, which has no logits of its '
            'own, or a loss or predictions that are not of the logits alone: it has not '
            f"{', '.join(own)} of MMPretrain's ClsHead; take one that has, such as "
            'LinearClsHead, StackedLinearClsHead or VisionTransformerClsHead; a loss of '
            'your own can be their loss'
        )


def _check_there_is(head: Any, right: str) -> None:
    """Check that there is a head; `right` says which would be."""
    if head is None:
        raise TypeError(
            f'DHMClassifier: there is no head; give {right}, whose logits the branches '
            'mimic'
        )


def _check_stock_network(backbone: nn.Module) -> None:
    """Check that a backbone beside a SideBranchNeck computes what it does without one."""
    for option, value in _MOVES_THE_LAST_NORM:
        if getattr(backbone, option, None) == value:
            raise ValueError(
                f'DHMClassifier: {type(backbone).__name__} with {option}={value!r} is '
                'another network than the stock one, for its last norm layer comes '
                f'before the pooling; leave {option} out, and {_PLAIN}'
            )


def _type_of(part: Any) -> Any:
    if isinstance(part, dict):
        kind = part.get('type')
        return MODELS.get(kind) if isinstance(kind, str) else kind
    return type(part)


def _name_of(part: Any) -> str:
    if isinstance(part, (list, tuple)):
        return ' and '.join(_name_of(inner) for inner in part)
    name = part.get('type', part) if isinstance(part, dict) else part
    return getattr(_type_of(part), '__name__', str(name))
