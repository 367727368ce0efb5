"""What stands in a side branch for the modules that it has not."""

import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import CheckpointFunction


class _Reached(Exception):
    """Ends a forward pass at a module; its argument is what that gave."""


class Tape:
    """What some of a network's modules gave in its last forward pass.

    A copy (EMA) and a pickle of it are empty, and attached to the copy of the network.
    """

    def __init__(self) -> None:
        self.outputs: dict[str, Any] = {}
        self.recording = False
        self.trains = False
        self.end: str | None = None
        self._handles: list = []

    def __reduce__(self) -> tuple:
        return Tape, (), dict(_handles=self._handles)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Record what runs within, and forget it at the end."""
        self.recording = True
        self.trains = torch.is_grad_enabled()
        try:
            yield
        finally:
            self.recording = False
            self.outputs.clear()

    def check_gradient(self, name: str, module: nn.Module | None = None) -> None:
        """Check that no reentrant checkpoint hides what runs now from the gradient.

        Args:
            name (str): Of the network's module whose output is recorded or replayed.
            module (nn.Module, optional): The module that has run; a frozen one may run
                so. Defaults to None: its output is replayed.

        Raises:
            RuntimeError: If not: without an error the gradients would be wrong.
        """
        if not self.trains or torch.is_grad_enabled():
            return
        if module is not None and not any(p.requires_grad for p in module.parameters()):
            return
        # A network may run a module so itself; and a compiler sees through a checkpoint.
        if not torch.compiler.is_compiling() and _in_a_checkpoint():
            raise RuntimeError(
                f'side branch: {name} of the network is run, or taken up, without a '
                "gradient, as MMEngine's activation_checkpointing does; the branch would "
                'train with wrong gradients. Name modules there that hold no fork, and '
                'are in no side branch, or whole stages such as those that are forked'
            )

    def record_until(
        self, end: str | None, network: nn.Module, inputs: torch.Tensor
    ) -> tuple[Any, bool]:
        """Run the network that it is attached to, up to the end of one of its modules.

        Forward hooks of modules that hold that one do not run.

        Args:
            end (str | None): Name of the module; the tape is attached to it. None: all of
                the network.
            network (nn.Module): The network.
            inputs (torch.Tensor): What it gets.

        Returns:
            tuple[Any, bool]: What the module gave, and True; or what the network gives,
            and False, if it has not ended there.
        """
        if end is not None and not torch.compiler.is_compiling():
            # Other hooks of the module, such as Grad-CAM's, run before it ends.
            hooks = network.get_submodule(end)._forward_hooks
            for key, hook in [*hooks.items()]:
                if getattr(hook, 'tape', None) is self:
                    hooks.move_to_end(key)
        self.end = end
        try:
            return network(inputs), False
        except _Reached as reached:
            return reached.args[0], True
        finally:
            self.end = None

    def attach(self, network: nn.Module, names: Iterable[str]) -> None:
        """Record what some modules give.

        Args:
            network (nn.Module): The network.
            names (Iterable[str]): Of its modules.
        """
        for name in names:
            hook = Recorder(self, name)
            module = network.get_submodule(name)
            self._handles.append(module.register_forward_hook(hook))

    def detach(self) -> None:
        """Record nothing any more."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


class Recorder:
    """Forward hook that keeps what a module gives; unlike a closure it can be copied.

    Args:
        tape (Tape): Where it is kept.
        name (str): Of the module.
    """

    def __init__(self, tape: Tape, name: str) -> None:
        self.tape, self.name = tape, name

    def __call__(self, module: nn.Module, inputs: tuple, output: Any) -> None:
        """Keep the output."""
        if self.tape.recording:
            self.tape.check_gradient(self.name, module)
            self.tape.outputs[self.name] = output
            # An exporter removes what is not needed itself; an exception would end the
            # process within a trace that has the modules' scopes, as MMEngine's of FLOPs.
            follows = torch.compiler.is_compiling() or torch.jit.is_tracing()
            if self.tape.end == self.name and not follows:
                raise _Reached(output)


class StandIn(nn.Module):
    """Stands for a module that does not run: passes on what it gets, or replays.

    Args:
        module (nn.Module): The module. Its public attributes can be read here too, for
            the network may ask for them; weights and other modules are not kept.
        children (Collection[str]): Its children that are kept: the network calls them
            past the module.
        several (bool): Whether the module gives as many values as it gets; else it gives
            one. Defaults to False.
    """

    def __init__(
        self, module: nn.Module, children: Collection[str] = (), several: bool = False
    ) -> None:
        super().__init__()
        for name, value in _public_attributes(module).items():
            self.__dict__.setdefault(name, value)
        for name, child in module._modules.items():
            if name in children or child is None:
                self.register_module(name, child)
        self._several = several
        self._tape: Tape | None = None
        self._name = ''

    def replay(self, tape: Tape | None, name: str) -> None:
        """Give what the network's own module gave, not what comes in.

        Args:
            tape (Tape, optional): What the network's modules gave. None: pass on what
                comes in.
            name (str): Of the module in the network.
        """
        self._tape, self._name = tape, name

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Give what the module's place needs."""
        if self._tape is not None:
            if self._name not in self._tape.outputs:
                raise RuntimeError(
                    f'side branch: {self._name} of the network gave nothing in this '
                    'forward pass; something has replaced it or runs past it, such as '
                    "MMEngine's efficient_conv_bn_eval"
                )
            self._tape.check_gradient(self._name)
            return self._tape.outputs[self._name]
        return args if self._several else args[0]


def _in_a_checkpoint() -> bool:
    """Look whether a reentrant checkpoint is running; nothing else tells."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code is CheckpointFunction.forward.__code__:
            return True
        frame = frame.f_back
    return False


def _public_attributes(module: nn.Module) -> dict[str, Any]:
    """List what a module has beside weights and modules, its properties too."""
    own = {name: value for name, value in vars(module).items() if name != 'forward'}
    for cls in type(module).__mro__:
        if cls is nn.Module:
            break
        for name, value in vars(cls).items():
            if isinstance(value, property):
                try:
                    own.setdefault(name, getattr(module, name))
                except AttributeError:
                    continue
    return {
        name: value
        for name, value in own.items()
        if not name.startswith('_') and not isinstance(value, nn.Module)
    }
