"""The authors' checkpoints and ours."""

import re
from pathlib import Path

import torch
from mmengine import Config
from mmpretrain.registry import MODELS
from torch.overrides import TorchFunctionMode

from ..models import DenseNetTransition, DHMClassifier, NormReLU
from ..root import find_root
from .compare import differing_weights
from .files import CheckpointError

CONFIGS = find_root() / 'configs' / 'dhm'


def official_names(model: DHMClassifier) -> dict[str, str]:
    """Tell the authors' name of each of a model's weights.

    The authors number the side branches from the deepest fork (``head1``) to the
    shallowest, and name the stages of a branch like those of the main branch that lie at
    the same depth: ``layer3_head2`` is the first stage of a branch forked after the
    second.

    Args:
        model (DHMClassifier): A model with its side branches.

    Returns:
        dict[str, str]: The authors' key by ours, in the authors' order: main branch,
        then the side branches from the shallowest on, each with its classifier.
    """
    keys = list(model.state_dict())
    layers = [re.match(r'backbone\.layer(\d+)\.', key) for key in keys]
    depth = max(int(layer.group(1)) for layer in layers if layer)
    prefixes = {'backbone.norm.bn.': 'bn.', 'backbone.': '', 'head.fc.': 'fc.'}
    for i, branch in enumerate(model.neck.branches):
        head = f'head{len(model.neck.branches) - i}'
        ends = sum(isinstance(m, (NormReLU, DenseNetTransition)) for m in branch)
        layer = depth - (len(branch) - ends)
        for j, stage in enumerate(branch):
            ours = f'neck.branches.{i}.{j}.'
            if isinstance(stage, NormReLU):
                prefixes[f'{ours}bn.'] = f'bn_{head}.'
            elif isinstance(stage, DenseNetTransition):
                prefixes[ours] = f'transition{layer}_{head}.'
            else:
                layer += 1
                prefixes[ours] = f'layer{layer}_{head}.'
        prefixes[f'head.side_fcs.{i}.'] = f'fc_{head}.'
    order = {prefix: position for position, prefix in enumerate(prefixes)}
    # The norm before the main branch's pooling stands where the backbone has it: last.
    order['backbone.norm.bn.'] = order['backbone.']
    found = {key: next(p for p in prefixes if key.startswith(p)) for key in keys}
    return {
        key: prefixes[found[key]] + key.removeprefix(found[key])
        for key in sorted(keys, key=lambda key: order[found[key]])
    }


def official_to_dhm(
    state_dict: dict[str, torch.Tensor],
) -> tuple[str, dict[str, torch.Tensor]]:
    """Rename the authors' weights to ours.

    The architecture is that of ``configs/dhm`` whose keys and shapes are the state
    dict's.

    Args:
        state_dict (dict[str, torch.Tensor]): The authors' weights by their keys.

    Returns:
        tuple[str, dict[str, torch.Tensor]]: The name of the config, and the weights by
        our keys.

    Raises:
        CheckpointError: If it is none of the architectures; it names the nearest one
            and the first keys that differ.
    """
    config, names = _find_architecture(state_dict, official=True)
    return config, {ours: state_dict[theirs] for ours, theirs in names.items()}


def dhm_to_official(
    state_dict: dict[str, torch.Tensor],
) -> tuple[str, dict[str, torch.Tensor]]:
    """Rename our weights to the authors': the reverse of :func:`official_to_dhm`.

    Args:
        state_dict (dict[str, torch.Tensor]): Weights of a :class:`DHMClassifier`.

    Returns:
        tuple[str, dict[str, torch.Tensor]]: The name of the config, and the weights by
        the authors' keys, in their order.

    Raises:
        CheckpointError: As :func:`official_to_dhm` does.
    """
    config, names = _find_architecture(state_dict, official=False)
    return config, {theirs: state_dict[ours] for ours, theirs in names.items()}


def _find_architecture(
    state_dict: dict[str, torch.Tensor], official: bool
) -> tuple[str, dict[str, str]]:
    """Find the config whose keys (the authors', or ours) and shapes are these."""
    key, other = ('fc.weight', 'head.fc.weight')[:: 1 if official else -1]
    classifier = state_dict.get(key)
    if classifier is None and other in state_dict:
        raise CheckpointError(
            "its keys are ours already; the authors' format is made with --reverse"
            if official
            else "its keys are the authors'; ours are made without --reverse"
        )
    has_classes = classifier is not None and classifier.ndim == 2 and len(classifier)
    num_classes = len(classifier) if has_classes else 1000
    nearest = None
    for path in _candidates(num_classes):
        model = build_without_weights(path, num_classes)
        names = official_names(model)
        expected = {
            names[key] if official else key: value
            for key, value in model.state_dict().items()
        }
        differing = differing_weights(state_dict, expected)
        if not differing:
            return path.stem, names
        share = len(differing) / len({**state_dict, **expected})
        if nearest is None or share < nearest[0]:
            nearest = share, path.stem, differing
    _, name, differing = nearest
    whose = "the authors'" if official else 'our'
    raise CheckpointError(
        f'it is none of {whose} architectures with side '
        f'branches; the nearest is {name}, from which {len(differing)} keys differ: '
        f'{"; ".join(differing[:3])}'
    )


def _candidates(num_classes: int) -> list[Path]:
    """List one config an architecture, those that take long to build last."""
    cifar = 'cifar10' if num_classes == 10 else 'cifar100'
    paths = [*CONFIGS.glob('*_in1k.py'), *CONFIGS.glob(f'*_{cifar}.py')]
    if not paths:
        raise CheckpointError(
            f'the configs to compare it with are not in {CONFIGS}; install '
            'dhm_plugin again, from its wheel or a whole checkout'
        )
    depths = {path: int(re.search(r'\d+', path.stem).group()) for path in paths}
    return sorted(paths, key=lambda path: (depths[path], path.stem))


class _WeightsOnMeta(TorchFunctionMode):
    """Make the weights on the meta device: shapes, but no memory and no random numbers.

    ``torch.device('meta')`` would do the same to all tensors, the few with which
    MMPretrain's ``ResNet`` counts among them.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.empty:
            kwargs['device'] = 'meta'
        return func(*args, **kwargs)


def build_without_weights(config: Path, num_classes: int) -> DHMClassifier:
    """Build a config's model for the keys and shapes of its weights alone.

    Args:
        config (Path): The config file.
        num_classes (int): Number of classes of every branch.

    Returns:
        DHMClassifier: A model that has no values and cannot run.
    """
    model = Config.fromfile(config).model
    model.head.num_classes = num_classes
    with _WeightsOnMeta():
        return MODELS.build(model)
