"""All side branches of a network whose config has none."""

import copy
from collections.abc import Sequence

from mmengine.model import ModuleList
from mmengine.utils import is_list_of
from mmpretrain.models import ClsHead
from torch import nn

from ...checked_arguments import unknown_argument
from ..forking import draw_forks, is_probability
from ..iteration_seed import IterationSeed
from .blocks import blocks_left_out
from .calls import Call
from .forks import can_fork, default_forks
from .meta import trace
from .replay import Tape
from .rest_of_network import RestOfNetwork

_KEYS = ('fork', 'without', 'fork_prob')


class SideBranches(ModuleList):
    """Side branches, each the rest of the network from its fork on.

    Args:
        network (nn.Module): The network's backbone, as built of its config.
        backbone (dict): Its config.
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
        ValueError: If a branch cannot be had so.
    """

    def __init__(
        self,
        network: nn.Module,
        backbone: dict,
        neck: dict | Sequence[dict] | None,
        head: dict,
        branches: Sequence[dict] | None = None,
    ) -> None:
        super().__init__()
        self.tape = Tape()
        self._seed = IterationSeed()
        kind = type(network).__name__
        try:
            calls, image, _ = trace(network)
        except ValueError as error:
            raise ValueError(
                f'DHMClassifier: {kind} gets no side branches by itself, for it does not '
                f'run on the meta device ({error}); describe them in a SideBranchNeck'
            ) from error
        if branches is None:
            branches = [dict(fork=fork) for fork in default_forks(calls)]
            if not branches:
                raise ValueError(
                    f'DHMClassifier: where side branches fork from {kind} cannot be '
                    'derived, for nothing in it can be forked; describe them in a '
                    'SideBranchNeck'
                )
        for i, branch in enumerate(branches):
            _check(f'DHMClassifier: side_branches[{i}]', branch, calls, kind)
        self.fork_probs = [branch.get('fork_prob', 1.0) for branch in branches]
        configs = _configs_of_a_branch(backbone, neck, head, calls)
        for i, branch in enumerate(branches):
            fork = branch['fork']
            without = branch.get('without', blocks_left_out(calls, fork))
            try:
                built = RestOfNetwork(*configs, calls, image, fork, without, self.tape)
            except Exception as error:
                raise ValueError(
                    f'DHMClassifier: side_branches[{i}], the rest of {kind} from {fork} '
                    f'on without {list(without)}, cannot be built: {error}'
                ) from error
            self.append(built)
        replayed = dict.fromkeys(name for branch in self for name in branch.replayed)
        self.tape.attach(network, replayed)

    def draw(self) -> list[bool]:
        """Decide which side branches are forked in this training iteration.

        Returns:
            list[bool]: One a side branch.
        """
        if all(prob == 1 for prob in self.fork_probs):
            return [True] * len(self)
        return draw_forks(self.fork_probs, self._seed)

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


def _check(where: str, branch: dict, calls: Sequence[Call], kind: str) -> None:
    """Check what is said of a branch by hand."""
    for key in branch:
        if key not in _KEYS:
            raise ValueError(f'{where}: {unknown_argument(key, _KEYS)}')
    if 'fork' not in branch:
        raise ValueError(f"{where} has no fork; it must be a module, such as 'layer2'")
    forkable = {call.name for call in calls if can_fork(call, calls)}
    if branch['fork'] not in forkable:
        outer = [name for name in forkable if name.count('.') < 2]
        raise ValueError(
            f'{where} cannot fork after {branch["fork"]!r} of {kind}: '
            f'{unknown_argument(branch["fork"], outer)}'
        )
    without = branch.get('without', ())
    if without and not is_list_of(list(without), str):
        raise ValueError(f'{where} has without={without!r}; it must be a list of names')
    for name in without:
        same = [call for call in calls if call.name == name]
        if not same or not all(call.keeps_shape for call in same):
            raise ValueError(
                f'{where} cannot do without {name!r}: it must be a block of {kind} '
                'behind the fork that keeps the shape of what it gets'
            )
    prob = branch.get('fork_prob', 1.0)
    if not is_probability(prob):
        raise ValueError(
            f'{where} has fork_prob={prob!r}; it must be a probability, above 0 and at '
            'most 1; leave out a branch that is never forked'
        )


def _configs_of_a_branch(
    backbone: dict,
    neck: dict | Sequence[dict] | None,
    head: dict,
    calls: Sequence[Call],
) -> tuple[dict, dict | Sequence[dict] | None, dict]:
    """Give the configs of which a branch is built: the network's, but new throughout."""
    backbone = copy.deepcopy(dict(backbone))
    backbone.pop('frozen_stages', None)
    if 'Pretrained' in str(backbone.get('init_cfg')):
        del backbone['init_cfg']
    if head['type'] in ('ClsHead', ClsHead) and backbone.get('num_classes', -1) > 0:
        # VGG's classifier is in the backbone, and most of its weights are there.
        maps = [call for call in calls if call.outputs and len(call.outputs[-1]) == 4]
        head = dict(
            type='LinearClsHead',
            num_classes=backbone['num_classes'],
            in_channels=maps[-1].outputs[-1][1],
            loss=head.get('loss', dict(type='CrossEntropyLoss')),
        )
        backbone['num_classes'] = -1
        neck = dict(type='GlobalAveragePooling')
    return backbone, neck, head
