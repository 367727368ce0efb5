"""A side branch that is the rest of the network from its fork on."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch.utils._pytree import tree_map

from .calls import Call, calls_until, children_within, shapes_of, tensors_of
from .meta import run_on_meta
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
        ValueError: If it gives other shapes without these blocks.
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
        expected, used, unused = self._trial(before, image)
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
        if self._shapes(before, image) != expected:
            # Between the modules something needs what they give.
            self.replayed = list(before)
            for name, stand_in in stand_ins.items():
                stand_in.replay(tape, name)
            shapes = self._shapes(before, image)
            if shapes != expected:
                gives = 'it fails' if shapes is None else f'it gives {shapes}'
                raise ValueError(f'{gives}; with all blocks it gives {expected}')
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

    @torch.enable_grad()
    def _trial(
        self, before: dict[str, Call], image: torch.Tensor
    ) -> tuple[tuple, set[str], list[str]]:
        """Run on the meta device, forward and backward.

        Returns:
            tuple: The shapes that it gives, the names of the network's modules whose
            output it uses, and those of the parameters that it does not use.
        """
        leaves: dict[int, str] = {}
        tensors: list[torch.Tensor] = []

        def leaf(name: str, value: Any) -> Any:
            if not torch.is_tensor(value) or not value.is_floating_point():
                return value
            value = value.detach().requires_grad_()
            leaves[id(value)] = name
            tensors.append(value)
            return value.clone()  # what is no leaf can be written into

        with self.tape.open():
            for name, call in before.items():
                self.tape.outputs[name] = tree_map(
                    lambda value, name=name: leaf(name, value), call.output
                )
            feats, parameters = run_on_meta(self.backbone, image)
        names = list(parameters)
        ends = [end for end in tensors_of(feats) if end.requires_grad]
        gradients = torch.autograd.grad(
            sum(end.float().sum() for end in ends),
            [*tensors, *parameters.values()],
            allow_unused=True,
        )
        used = {
            leaves[id(tensor)]
            for tensor, gradient in zip(tensors, gradients)
            if gradient is not None
        }
        of_weights = zip(names, gradients[len(tensors) :])
        unused = [name for name, gradient in of_weights if gradient is None]
        return shapes_of(feats), used, unused

    @torch.no_grad()
    def _shapes(self, before: dict[str, Call], image: torch.Tensor) -> tuple | None:
        """Run on the meta device, forward: the shapes that it gives, None if it fails."""
        with self.tape.open():
            self.tape.outputs.update({name: call.output for name, call in before.items()})
            try:
                return shapes_of(run_on_meta(self.backbone, image)[0])
            except Exception:
                return None

    def _drop(self, name: str) -> None:
        """Let a parameter be none: its network may still ask for it."""
        owner, _, leaf = name.rpartition('.')
        try:
            module = self.backbone.get_submodule(owner)
        except AttributeError:  # it was of a block that is left out
            return
        if leaf not in module._parameters:
            return
        value = module._parameters.pop(leaf).data
        module.register_buffer(leaf, value, persistent=False)
