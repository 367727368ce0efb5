"""The network that a training has made, without its side branches."""

from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from torch import nn

from ...models import DHMClassifier
from .. import SIDE_BRANCH_PREFIXES, CheckpointError, read_state_dict
from ..compare import load_all
from .config import load_config
from .image_shape import image_shape, preprocessor_of


@dataclass
class TrainedNetwork:
    """A network in evaluation mode, and what an exporter needs to know of it.

    Args:
        model (nn.Module): The classifier, from preprocessed images to logits.
        cfg (Config): Its config.
        meta (dict): What the checkpoint says of classes and training.
        image_shape (tuple[int, int, int]): Channels, height and width of an image.
    """

    model: nn.Module
    cfg: Config
    meta: dict
    image_shape: tuple[int, int, int]

    def images(self, number: int) -> torch.Tensor:
        """Make images (number, *image_shape) to compare with."""
        generator = torch.Generator().manual_seed(number)
        return torch.randn(number, *self.image_shape, generator=generator)


def load_trained(config: str | Path, checkpoint: str | Path) -> TrainedNetwork:
    """Load a trained network and drop its side branches.

    MMEngine's EMA checkpoints have the averaged weights under ``state_dict``: they are
    what is loaded.

    Args:
        config (str | Path): The config that it was trained with, or the plain one.
        checkpoint (str | Path): What the training has written, or a stripped one.

    Returns:
        TrainedNetwork: The network.

    Raises:
        CheckpointError: If the config cannot be used or predicts with side branches, or
            the checkpoint cannot be read, is of another network or number of classes, or
            is of a training that lacks the EMA weights that the config asks for.
    """
    try:
        cfg = load_config(config)
        init_default_scope(cfg.get('default_scope', 'mmpretrain'))
        model = MODELS.build({**cfg.model, 'data_preprocessor': preprocessor_of(cfg)})
        shape = image_shape(cfg)
    except Exception as error:  # a config is code: it may raise about anything
        raise CheckpointError(f'{config}: cannot be used: {error}') from error
    weights, others = read_state_dict(checkpoint)
    _check_ema(cfg, others, checkpoint)
    if isinstance(model, DHMClassifier):
        if model.predict_with != 'main':
            raise CheckpointError(
                f'{config}: has predict_with={model.predict_with!r}, but exported is the '
                "main branch alone; set model.predict_with='main'"
            )
        model.switch_to_deploy()
    weights = {k: v for k, v in weights.items() if not k.startswith(SIDE_BRANCH_PREFIXES)}
    _check_classes(weights, model.state_dict(), checkpoint)
    load_all(model, weights, f'{checkpoint}: is of another network than the config')
    return TrainedNetwork(model.eval(), cfg, others.get('meta') or {}, shape)


def _check_ema(cfg: Config, others: dict, checkpoint: str | Path) -> None:
    defaults = (cfg.get('default_hooks') or {}).values()
    hooks = [*(cfg.get('custom_hooks') or ()), *filter(None, defaults)]
    hooks = [str(hook.type) for hook in hooks]
    # What has no log of a training is stripped or exported: averaged already.
    training = 'message_hub' in others
    ema = any('EMAHook' in hook for hook in hooks)
    if training and ema and 'ema_state_dict' not in others:
        raise CheckpointError(
            f'{checkpoint}: has no EMA weights (ema_state_dict), but the config trains '
            'with EMAHook; give a checkpoint that this training has written, or a config '
            'without the hook'
        )


def _check_classes(weights: dict, expected: dict, checkpoint: str | Path) -> None:
    # The last matrix of the head, whatever the head calls it.
    matrices = [k for k, x in expected.items() if k.startswith('head.') and x.ndim == 2]
    for key in matrices[-1:]:
        if key in weights and len(weights[key]) != len(expected[key]):
            raise CheckpointError(
                f'{checkpoint}: has {len(weights[key])} classes, but the config has '
                f'{len(expected[key])}; set model.head.num_classes={len(weights[key])}'
            )
