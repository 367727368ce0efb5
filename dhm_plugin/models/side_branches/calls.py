"""What a network calls, in order, and with what shapes."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

_CONVOLUTION = nn.modules.conv._ConvNd


class Call(NamedTuple):
    """A call of one of a network's modules.

    Args:
        name (str): Of the module.
        kind (tuple): Of the module: its type and the shapes of its parameters.
        depth (int): In how many other modules' calls it is made; 0 in the network's own.
        arguments (int): How many positional arguments it gets.
        inputs (tuple[tuple[int]]): Shapes of the tensors that it gets.
        outputs (tuple[tuple[int]]): Shapes of the tensors that it gives.
        output (Any): What it gives.
        changed (bool): Whether another module has written into what it gave, a tensor
            or a list.
    """

    name: str
    kind: tuple
    depth: int
    arguments: int
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]
    output: Any
    changed: bool

    @property
    def has_weights(self) -> bool:
        """Whether the module has parameters."""
        return len(self.kind) > 1

    @property
    def layers(self) -> int:
        """Number of its matrices: of convolutions and linear layers."""
        return sum(len(shape) > 1 for shape in self.kind[1:])

    @property
    def is_layer(self) -> bool:
        """Whether it is one convolution or linear layer."""
        return self.layers == 1 and issubclass(self.kind[0], (nn.Linear, _CONVOLUTION))

    @property
    def keeps_shape(self) -> bool:
        """Whether it gives tensors of the shapes that it gets."""
        return bool(self.inputs) and self.inputs == self.outputs

    @property
    def gives_several(self) -> bool:
        """Whether it gives as many values as it gets, and more than one."""
        several = isinstance(self.output, tuple) and len(self.output) > 1
        return several and len(self.output) == self.arguments

    @property
    def positions(self) -> int:
        """Number of places in the smallest map, or of tokens, that it gives."""
        sizes = [_positions(shape) for shape in self.outputs if len(shape) > 2]
        return min(sizes, default=1)


def is_inside(name: str, outer: str) -> bool:
    """Say whether a module is another one, or lies within.

    Args:
        name (str): Of the module.
        outer (str): Of the other one.

    Returns:
        bool: Whether it is so.
    """
    return f'{name}.'.startswith(f'{outer}.')


def children_within(name: str, others: Iterable[str]) -> set[str]:
    """Give the children of a module that some others are, or are within.

    Args:
        name (str): Of the module.
        others (Iterable[str]): Names of the others.

    Returns:
        set[str]: Names of the children, within the module.
    """
    return {
        other[len(name) + 1 :].partition('.')[0]
        for other in others
        if other != name and is_inside(other, name)
    }


def calls_until(calls: Sequence[Call], end: int) -> dict[str, Call]:
    """Give the calls up to one of them that are not made within another of them.

    Args:
        calls (Sequence[Call]): In the order in which they end.
        end (int): Number of the last one.

    Returns:
        dict[str, Call]: By the module's name.
    """
    found: dict[str, Call] = {}
    depth = calls[end].depth
    for call in reversed(calls[: end + 1]):
        depth = min(depth, call.depth)
        if call.depth == depth:
            found.setdefault(call.name, call)
    return dict(reversed(found.items()))


def calls_of(network: nn.Module, run: Callable[[], Any]) -> tuple[list[Call], Any]:
    """Record the calls of a network's modules while something runs.

    Args:
        network (nn.Module): The network.
        run (Callable): Runs it.

    Returns:
        tuple: The calls, in the order in which they end, and what it has given.
    """
    ended: list[tuple] = []
    depth = 0
    handles = []
    for name, module in network.named_modules():
        if not name:
            continue

        def begin(module, inputs):
            nonlocal depth
            depth += 1

        def end(module, inputs, output, name=name):
            nonlocal depth
            depth -= 1
            # The tensors too: an id is theirs as long as they live.
            gave = tensors_of(output), _states_of(output)
            ended.append(
                (name, module, depth, len(inputs), shapes_of(inputs), output, gave)
            )

        handles.append(module.register_forward_pre_hook(begin))
        handles.append(module.register_forward_hook(end))
    try:
        given = run()
    finally:
        for handle in handles:
            handle.remove()
    shapes: dict[nn.Module, tuple] = {}
    calls = [
        Call(
            name,
            (type(module), *_weights(module, shapes)),
            depth,
            arguments,
            inputs,
            shapes_of(output),
            output,
            states != _states_of(output),
        )
        for name, module, depth, arguments, inputs, output, (_, states) in ended
    ]
    return calls, given


def tensors_of(value: Any) -> list[torch.Tensor]:
    """List the tensors in nested tuples, lists and dicts.

    Args:
        value (Any): The tuples, lists or dicts, or a tensor.

    Returns:
        list[torch.Tensor]: The tensors.
    """
    if torch.is_tensor(value):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return []
    return [tensor for inner in value for tensor in tensors_of(inner)]


def shapes_of(value: Any) -> tuple[tuple[int, ...], ...]:
    """List the shapes of the tensors in nested tuples, lists and dicts.

    Args:
        value (Any): The tuples, lists or dicts, or a tensor.

    Returns:
        tuple[tuple[int]]: The shapes.
    """
    return tuple(tuple(tensor.shape) for tensor in tensors_of(value))


def _states_of(value: Any) -> list[tuple[int, int]]:
    """Say which tensors there are, and how often each was written into."""
    return [(id(tensor), tensor._version) for tensor in tensors_of(value)]


def _positions(shape: tuple[int, ...]) -> int:
    """Count the places of a map or the tokens, whichever axis the channels are."""
    # Channels come last in tokens, and in a square map of (N, H, W, C).
    last = len(shape) != 4 or shape[1] == shape[2] != shape[3]
    return torch.Size(shape[1:-1] if last else shape[2:]).numel()


def _weights(module: nn.Module, known: dict[nn.Module, tuple]) -> tuple:
    """List the shapes of a module's parameters, each module's once."""
    if module not in known:
        own = (tuple(p.shape) for p in module.parameters(recurse=False))
        inner = (shape for m in module.children() for shape in _weights(m, known))
        known[module] = (*own, *inner)
    return known[module]
