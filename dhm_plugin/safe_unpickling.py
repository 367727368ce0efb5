"""What PyTorch may make of a checkpoint of MMEngine's beside weights.

Its log histories hold arrays and numbers of NumPy's. NumPy's own functions would trust
the file: an array whose type it says to hold objects takes its bytes as pointers.
"""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
from mmengine.logging import HistoryBuffer


class NumberType:
    """Stands in for ``numpy.dtype``: a type of numbers.

    Args:
        code (str): NumPy's, as ``'f8'``.
        *_: What NumPy's takes beside it.

    Raises:
        pickle.UnpicklingError: If it is another type.
    """

    def __init__(self, code: str, *_: object) -> None:
        if not isinstance(code, str) or np.dtype(code).kind not in 'biufc':
            raise pickle.UnpicklingError(f'{code!r} is not a type of numbers')
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        """Take the order of the bytes; NumPy's would take parts and fields too."""
        _, order, *parts_names_fields = state[:5]
        if parts_names_fields != [None] * 3:
            raise pickle.UnpicklingError(f'{parts_names_fields} is not a type of numbers')
        self.dtype = self.dtype.newbyteorder(order)


class NumberArray(np.ndarray):
    """Stands in for ``numpy.ndarray``: it holds numbers. It is saved as NumPy's own."""

    def __setstate__(self, state: tuple) -> None:
        """Take shape and content."""
        version, shape, kind, fortran, content = state
        super().__setstate__((version, shape, _dtype_of(kind), fortran, content))

    def __reduce_ex__(self, protocol: int) -> tuple:
        return self.view(np.ndarray).__reduce_ex__(protocol)


def safe_globals() -> list:
    """Give what ``torch.serialization.add_safe_globals`` takes.

    Returns:
        list: Types, and functions with the name by which a checkpoint has them.
    """
    # NumPy 2 renamed the module; checkpoints of either are read with either.
    functions = [
        (function, f'numpy.{core}.multiarray.{name}')
        for name, function in (('_reconstruct', _reconstruct), ('scalar', _scalar))
        for core in ('core', '_core')
    ]
    return [
        HistoryBuffer,
        (_history_buffer_method, 'builtins.getattr'),
        # As a type of what is built, under a name that no pickle can hold: called, it
        # makes objects of any memory.
        (NumberArray, 'numpy\n.ndarray'),
        (_refuse_call, 'numpy.ndarray'),
        (NumberType, 'numpy.dtype'),
        *functions,
    ]


def _dtype_of(kind: Any) -> np.dtype:
    if type(kind) is not NumberType:
        raise pickle.UnpicklingError(f'{kind!r} is not a type of numbers')
    return kind.dtype


def _reconstruct(*_: object) -> NumberArray:
    """Begin an array, which its state fills."""
    return NumberArray((0,), 'b')


def _scalar(kind: Any, content: bytes) -> np.number | np.bool_:
    (number,) = np.frombuffer(content, _dtype_of(kind))
    return number


def _refuse_call(*args: object) -> None:
    """Stand in for ``numpy.ndarray`` where it is called."""
    raise pickle.UnpicklingError('a checkpoint must not call numpy.ndarray')


def _history_buffer_method(owner: type, name: str) -> Callable:
    """Stand in for ``getattr``.

    A log history refers to its methods (min, max, current, mean) through ``getattr``,
    which on anything else would be a way out of ``weights_only``.
    """
    if owner is not HistoryBuffer or name.startswith('_'):
        raise pickle.UnpicklingError(f'a checkpoint must not read {name} of {owner}')
    return getattr(owner, name)
