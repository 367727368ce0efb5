"""Names the argument that was meant, where a config misspells one; knows numbers."""

import difflib
import functools
import inspect
from collections.abc import Collection
from numbers import Integral, Real


def checked_arguments(cls: type) -> type:
    """Let a class refuse an argument that it does not have, and name the nearest.

    Goes under ``@MODELS.register_module()``. The signature stays visible.

    Args:
        cls (type): The class; its ``__init__`` is wrapped. One that takes any keyword
            stays as it is.

    Returns:
        type: The same class.
    """
    signature, init = inspect.signature(cls), cls.__init__
    parameters = signature.parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return cls

    @functools.wraps(init)
    def checked_init(self: object, *args: object, **kwargs: object) -> None:
        for key in kwargs:
            if key not in signature.parameters:
                raise TypeError(
                    f'{cls.__name__}: {unknown_argument(key, signature.parameters)}'
                )
        init(self, *args, **kwargs)

    # Without an ``__init__`` of its own, a class would show ``(*args, **kwargs)``.
    own = inspect.Parameter('self', inspect.Parameter.POSITIONAL_ONLY)
    checked_init.__signature__ = signature.replace(parameters=[own, *parameters])
    cls.__init__ = checked_init
    return cls


def is_number(value: object) -> bool:
    """Whether a value of a config is a number; True is none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_integer(value: object) -> bool:
    """Whether a value of a config is an integer; True is none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def unknown_argument(key: object, known: Collection[str]) -> str:
    """Say that there is no such key, and which one was probably meant.

    Args:
        key (object): The key; of a config's dict it may be no str.
        known (Collection[str]): Those that there are.

    Returns:
        str: Such as ``there is no 'temprature'; did you mean 'temperature'?``, or all
        that there are if none is near.

    Example:
        >>> unknown_argument('intervall', ['interval', 'priority'])
        "there is no 'intervall'; did you mean 'interval'?"
    """
    near = difflib.get_close_matches(str(key), known, n=1)
    if near:
        return f'there is no {key!r}; did you mean {near[0]!r}?'
    return f'there is no {key!r}; it takes {", ".join(known) or "no arguments"}'
