"""A side branch that is the rest of the network from its fork on."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch.utils._pytree import tree_map

from .calls import Call, calls_until, children_within, shapes_of, tensors_of
from .meta import run_on_meta
from .origins import Origins
from .replay import StandIn, Tape


class RestOfNetwork(BaseModule):
    """A network's modules from a fork on, newly initialised, with fewer blocks.

    It is built of the network's own configs, so that it has the same initialization and
    the same forward pass. What lies before the fork has no weights here: it passes on
    what it gets, or what the network's own modules gave for the same images.

    Args:
        backbone (dict): Config of the network's backbone.
        neck (dict | list | None): Config of its neck.
        head (dict): Config of its head.
        calls (Sequence[Call]): Of the network's backbone, on the meta device.
        image (torch.Tensor): For which they were made.
        fork (str): The module after which it forks.
        without (Sequence[str]): Blocks behind the fork that it does without.
        tape (Tape): What the network's modules gave.

    Raises:
        ValueError: If it gives other shapes without these blocks, or reads what another
            module writes into.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict | Sequence[dict] | None,
        head: dict,
        calls: Sequence[Call],
        image: torch.Tensor,
        fork: str,
        without: Sequence[str],
        tape: Tape,
    ) -> None:
        super().__init__()
        self.backbone = MODELS.build(backbone)
        self.neck = None if neck is None else MODELS.build(neck)
        self.head = MODELS.build(head)
        self.fork, self.without, self.tape = fork, tuple(without), tape
        end = max(i for i, call in enumerate(calls) if call.name == fork)
        later = {call.name for call in calls[end + 1 :]}
        before = {
            name: call
            for name, call in calls_until(calls, end).items()
            if name not in later
        }
        past = {*before, *later}
        # Inner ones first, for the network calls some past the module that holds them.
        stand_ins = {
            name: self._stand_in(before[name], past)
            for name in sorted(before, key=lambda name: -name.count('.'))
        }
        for name, stand_in in stand_ins.items():
            stand_in.replay(tape, name)
        expected, used = self._trial(before, image)
        changed = [name for name in before if name in used and before[name].changed]
        if changed:
            raise ValueError(
                f'it would read what {changed} gave, into which a later module writes '
                '(in place); fork after a whole block'
            )
        #: Names of the network's modules whose output the branch needs.
        self.replayed = [
            name
            for name, call in before.items()
            if name in used or not torch.is_tensor(call.output)
        ]
        for name, stand_in in stand_ins.items():
            # The others pass on what they get, so that nothing is kept for them.
            stand_in.replay(tape if name in self.replayed else None, name)
        for call in calls:
            if call.name in self.without:
                self._stand_in(call, ())
        gives, unused = self._trained(before, image)
        if gives != expected:
            # Between the modules something needs what they give.
            self.replayed = list(before)
            for name, stand_in in stand_ins.items():
                stand_in.replay(tape, name)
            gives, unused = self._trained(before, image)
            if gives != expected:
                did = (
                    f'fails ({gives})'
                    if isinstance(gives, Exception)
                    else f'gives {gives}'
                )
                raise ValueError(f'it {did}; with all blocks it gives {expected}')
        for name in unused:
            self._drop(name)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Classify, when the network has run on the same images.

        Args:
            inputs (torch.Tensor): Preprocessed images (N, C, H, W).

        Returns:
            torch.Tensor: Logits (N, classes).
        """
        feats = self.backbone(inputs)
        return self.head(feats if self.neck is None else self.neck(feats))

    def _stand_in(self, call: Call, past: Sequence[str]) -> StandIn:
        """Replace a module; keep those of its children that are called past it."""
        parent, _, child = call.name.rpartition('.')
        owner = self.backbone.get_submodule(parent)
        kept = children_within(call.name, past)
        stand_in = StandIn(owner._modules[child], kept, call.gives_several)
        owner._modules[child] = stand_in
        return stand_in

    @torch.no_grad()
    def _trial(
        self, before: dict[str, Call], image: torch.Tensor
    ) -> tuple[tuple, set[str]]:
        """Run on the meta device, forward.

        Returns:
            tuple: The shapes that it gives, and the names of the network's modules whose
            output it uses, with a gradient or without.
        """
        origins = Origins()
        replayed = _clones(before)
        for name, output in replayed.items():
            origins.begin(name, tensors_of(output))
        with origins:
            feats, _ = self._run(replayed, image)
        return shapes_of(feats), origins.of(tensors_of(feats))

    @torch.enable_grad()
    def _trained(
        self, before: dict[str, Call], image: torch.Tensor
    ) -> tuple[Any, list[str]]:
        """Run on the meta device, as in training.

        Returns:
            tuple: The shapes that it gives, or the error, and the names of the parameters
            that would get no gradient.
        """
        try:
            feats, parameters = self._run(_clones(before), image)
        except ValueError:
            raise
        except Exception as error:
            return error, []
        ends = [end for end in tensors_of(feats) if end.requires_grad]
        gradients: Sequence[torch.Tensor | None] = [None] * len(parameters)
        if parameters and ends:
            ones = [torch.ones_like(end) for end in ends]
            twins = list(parameters.values())
            gradients = torch.autograd.grad(ends, twins, ones, allow_unused=True)
        unused = [name for name, g in zip(parameters, gradients) if g is None]
        return shapes_of(feats), unused

    def _run(
        self,
        replayed: dict[str, Any],
        image: torch.Tensor,
    ) -> tuple[Any, dict[str, torch.Tensor]]:
        """Run with what the network's modules gave.

        Raises:
            ValueError: If it writes into what one of them gave.
        """
        tensors = tensors_of(replayed)
        versions = [tensor._version for tensor in tensors]
        with self.tape.open():
            self.tape.outputs.update(replayed)
            ran = run_on_meta(self.backbone, image)
        if versions != [tensor._version for tensor in tensors]:
            raise ValueError(
                'it would write into what the network computed (in place); fork after a '
                'whole block'
            )
        return ran

    def _drop(self, name: str) -> None:
        """Let a parameter be none: its network may still ask for it."""
        owner, _, leaf = name.rpartition('.')
        module = self.backbone.get_submodule(owner)
        value = module._parameters.pop(leaf).data
        module.register_buffer(leaf, value, persistent=False)


def _clones(calls: dict[str, Call]) -> dict[str, Any]:
    """Copy what modules gave."""
    outputs = {name: call.output for name, call in calls.items()}
    return tree_map(lambda x: x.clone() if torch.is_tensor(x) else x, outputs)
