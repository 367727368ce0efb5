"""From which tensors a computation comes, whether or not gradients flow."""

from collections.abc import Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .calls import tensors_of


class Origins(TorchDispatchMode):
    """Follows named tensors through all operations within, views and copies too."""

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[int, set[str]] = {}
        self._kept: list[torch.Tensor] = []  # else another one may get the memory

    def begin(self, name: str, tensors: Iterable[torch.Tensor]) -> None:
        """Follow some tensors.

        Args:
            name (str): Theirs.
            tensors (Iterable[torch.Tensor]): The tensors.
        """
        for tensor in tensors:
            self._names.setdefault(_memory(tensor), set()).add(name)
            self._kept.append(tensor)

    def of(self, tensors: Iterable[torch.Tensor]) -> set[str]:
        """Give the names that tensors come from.

        Args:
            tensors (Iterable[torch.Tensor]): The tensors.

        Returns:
            set[str]: The names.
        """
        return set().union(*(self._names.get(_memory(t), set()) for t in tensors))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Run an operation; what it gives comes from all that it gets."""
        output = func(*args, **(kwargs or {}))
        names = self.of(tensors_of((args, kwargs)))
        if names:
            for name in names:
                self.begin(name, tensors_of(output))
        return output


def _memory(tensor: torch.Tensor) -> int:
    """Give what a tensor shares with its views; the meta device has it too."""
    return tensor.untyped_storage()._cdata
