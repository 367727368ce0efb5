"""All side branches of a network whose config has none."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import ModuleList
from mmengine.utils import is_seq_of
from mmpretrain.models import VGG, AlexNet, HorNet, ImageClassifier
from torch import nn

from ...checked_arguments import unknown_argument
from ..forking import check_fork_prob, draw_forks
from ..iteration_seed import IterationSeed
from .blocks import blocks_left_out
from .calls import Call, shapes_of
from .forks import default_forks, why_not
from .meta import CHECKPOINTED, run_on_meta, trace
from .replay import Tape
from .rest_of_network import RestOfNetwork

_KEYS = ('fork', 'without', 'fork_prob')
# What a backbone does with weights that have been trained before; a branch's have not.
_OF_TRAINED_WEIGHTS = ('frozen_stages', 'norm_eval', 'pretrained', 'checkpoint_path')


class SideBranches(ModuleList):
    """Side branches, each the rest of the network from its fork on.

    Args:
        network (ImageClassifier): The network, as built of its configs.
        backbone (dict): Config of the network's backbone.
        neck (dict | list | None): Config of the network's neck.
        head (dict): Config of its head.
        branches (Sequence[dict], optional): The side branches, shallowest first. Each has

            - fork (str): The backbone's module after which it forks, such as
              ``'layer2'``.
            - without (Sequence[str], optional): The backbone's blocks that it does
              without. By default half of those that are alike.
            - fork_prob (float, optional): As in :class:`SideBranchNeck`. Defaults to 1.0.

            Defaults to None: two, that fork where the last two resolutions before the
            final one end; in a network without stages, after a half and three quarters
            of its blocks.

    Raises:
        TypeError: If the network's head gives no logits in training.
        ValueError: If a branch cannot be had so.
    """

    def __init__(
        self,
        network: ImageClassifier,
        backbone: dict,
        neck: dict | Sequence[dict] | None,
        head: dict,
        branches: Sequence[dict] | None = None,
    ) -> None:
        super().__init__()
        self.tape = Tape()
        self._seed = IterationSeed()
        kind = type(network.backbone).__name__
        if isinstance(network.backbone, HorNet) and network.backbone.with_cp:
            raise ValueError(
                'DHMClassifier: HorNet with with_cp=True gets no side branches, for it '
                'runs blocks past the stages that hold them; leave with_cp out'
            )
        try:
            calls, image, feats = trace(network.backbone)
        except ValueError as error:
            raise ValueError(
                f'DHMClassifier: {kind} gets no side branches by itself, for it does not '
                f'run on the meta device ({error}); describe them in a SideBranchNeck'
            ) from error
        _check_head(network, feats)
        if branches is None:
            branches = [dict(fork=fork) for fork in default_forks(calls)]
            if not branches:
                raise ValueError(
                    f'DHMClassifier: where side branches fork from {kind} cannot be '
                    'derived: it has no stages, and no row of blocks alike, that can be '
                    'forked; name the module, such as '
                    "side_branches=[dict(fork='layer2')]"
                )
        elif not branches or not isinstance(branches, (list, tuple)):
            raise ValueError(
                f'DHMClassifier: side_branches={branches!r}; it must be a list of one or '
                "more dicts, such as [dict(fork='layer2')]; leave it out to have them "
                "derived, or use the plain network, dict(type='ImageClassifier')"
            )
        for i, branch in enumerate(branches):
            _check(f'DHMClassifier: side_branches[{i}]', branch, calls, network.backbone)
        forks = [branch['fork'] for branch in branches]
        order = [call.name for call in calls if call.name in forks]
        if forks != sorted(forks, key=order.index):
            raise ValueError(
                f'DHMClassifier: side_branches fork after {forks}; they must be in '
                f'order, shallowest first: {order}'
            )
        self.fork_probs = [branch.get('fork_prob', 1.0) for branch in branches]
        configs = _configs_of_a_branch(network, backbone, neck, head, calls)
        for i, branch in enumerate(branches):
            fork = branch['fork']
            without = branch.get('without')
            if without is None:
                without = blocks_left_out(calls, fork)
            try:
                built = RestOfNetwork(*configs, calls, image, fork, without, self.tape)
            except Exception as error:
                raise ValueError(
                    f'DHMClassifier: side_branches[{i}], the rest of {kind} from {fork} '
                    f'on without {list(without)}, cannot be built, or run on the meta '
                    f'device: {error}'
                ) from error
            self.append(built)
        # At the fork the network can stop.
        names = (name for b in self for name in (*b.replayed, b.fork))
        self.tape.attach(network.backbone, dict.fromkeys(names))

    def draw_forks(self) -> list[bool]:
        """Decide which side branches are forked in this training iteration.

        Returns:
            list[bool]: One a side branch.
        """
        if all(prob == 1 for prob in self.fork_probs):
            return [True] * len(self)
        return draw_forks(self.fork_probs, self._seed)

    def early_exit(
        self, index: int, backbone: nn.Module, inputs: torch.Tensor
    ) -> torch.Tensor:
        """Run a network up to a fork, and the side branch from there on.

        Args:
            index (int): Number of the side branch.
            backbone (nn.Module): Of the network.
            inputs (torch.Tensor): Preprocessed images (N, C, H, W).

        Returns:
            torch.Tensor: The side branch's logits (N, classes).
        """
        with self.tape.open():
            self.tape.record_until(self[index].fork, backbone, inputs)
            return self[index](inputs)

    def switch_to_deploy(self) -> None:
        """Drop them in place."""
        self.tape.detach()
        self.fork_probs = []
        del self[:]

    def describe(self) -> list[dict]:
        """Give what ``branches`` can say, whether it was given or derived."""
        return [
            dict(fork=branch.fork, without=list(branch.without), fork_prob=prob)
            for branch, prob in zip(self, self.fork_probs)
        ]


def _check(where: str, branch: dict, calls: Sequence[Call], backbone: nn.Module) -> None:
    """Check what is said of a branch by hand."""
    kind = type(backbone).__name__
    if not isinstance(branch, dict) or not isinstance(branch.get('fork', ''), str):
        raise ValueError(
            f'{where} is {branch!r}; it must be a dict whose `fork` is the name of a '
            f'module of {kind}'
        )
    for key in branch:
        if key not in _KEYS:
            raise ValueError(f'{where}: {unknown_argument(key, _KEYS)}')
    if 'fork' not in branch:
        raise ValueError(f"{where} has no fork; it must be a module, such as 'layer2'")
    fork = branch['fork']
    of_fork = [call for call in calls if call.name == fork]
    if of_fork:
        reason = why_not(of_fork[-1], calls)
    else:
        outer = [call for call in calls if call.name.count('.') < 2]
        forkable = [call.name for call in outer if not why_not(call, calls)]
        reason = unknown_argument(fork, forkable)
    for name, module in backbone.named_modules():
        on = [option for option in CHECKPOINTED if getattr(module, option, None) is True]
        if name and fork.startswith(f'{name}.') and on:
            reason = f'{name} keeps no activation of it ({on[0]}); fork after {name}'
    if reason:
        raise ValueError(f'{where} cannot fork after {fork!r} of {kind}: {reason}')
    without = branch.get('without', ())
    if not is_seq_of(without, str) or isinstance(without, str):
        raise ValueError(f'{where} has without={without!r}; it must be a list of names')
    names = [call.name for call in calls]
    for name in without:
        same = [call for call in calls[names.index(fork) + 1 :] if call.name == name]
        if not same or not all(call.keeps_shape for call in same):
            raise ValueError(
                f'{where} cannot do without {name!r}: it must be a block of {kind} '
                'behind the fork that keeps the shape of what it gets'
            )
    check_fork_prob(where, branch)


def _check_head(network: ImageClassifier, feats: Any) -> None:
    """Check that the head gives logits in training, with what the backbone gives."""
    head = type(network.head).__name__
    try:
        if network.with_neck:
            feats, _ = run_on_meta(network.neck, feats)
        logits, _ = run_on_meta(network.head, feats)
    except Exception as error:
        raise TypeError(
            f'DHMClassifier: the head, a {head}, fails in training, with what '
            f'{type(network.backbone).__name__} gives: {error}'
        ) from error
    if not torch.is_tensor(logits) or logits.ndim != 2:
        raise TypeError(
            f'DHMClassifier: the head is a {head}, which gives {shapes_of(logits)} for '
            'seven images; it must give one tensor of logits (N, classes)'
        )


def _configs_of_a_branch(
    network: ImageClassifier,
    backbone: dict,
    neck: dict | Sequence[dict] | None,
    head: dict,
    calls: Sequence[Call],
) -> tuple[dict, dict | Sequence[dict] | None, dict]:
    """Give the configs of which a branch is built: the network's, but new throughout."""
    backbone, head = _anew(backbone), _anew(head)
    if neck is not None:
        neck = _anew(neck) if isinstance(neck, dict) else [_anew(part) for part in neck]
    for key in _OF_TRAINED_WEIGHTS:
        backbone.pop(key, None)
    of_vgg = isinstance(network.backbone, (AlexNet, VGG))
    if of_vgg and network.backbone.num_classes > 0:
        # Their classifier is in the backbone, and most of its weights are there.
        maps = [call for call in calls if call.outputs and len(call.outputs[-1]) == 4]
        head = dict(
            type='LinearClsHead',
            num_classes=network.backbone.num_classes,
            in_channels=maps[-1].outputs[-1][1],
        )
        backbone['num_classes'] = -1
        neck = dict(type='GlobalAveragePooling')
    return backbone, neck, head


def _anew(config: dict) -> dict:
    """Copy a config, without an initialization from trained weights."""
    config = copy.deepcopy(dict(config))
    init = config.get('init_cfg')
    if 'Pretrained' in str(init):
        several = init if isinstance(init, (list, tuple)) else ()
        config['init_cfg'] = [each for each in several if 'Pretrained' not in str(each)]
        if not config['init_cfg']:
            # The part takes its own, as for an empty list it would not.
            del config['init_cfg']
    return config
