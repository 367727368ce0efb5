"""The one place that works around upstream."""

import functools
import pickle
from collections.abc import Callable

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint


def load_checkpoints_safely() -> None:
    """Let MMEngine load its own checkpoints, and nothing that would run code.

    - mmengine 0.10.7 calls ``torch.load`` as it is. From torch 2.6 on that refuses the
      log histories in MMEngine's own checkpoints, so that it can neither resume nor
      test. The few types that they are made of are declared safe.
    - onedl-mmengine 0.10.12 loads with ``weights_only=False`` whatever
      ``weights_only=True`` refuses, and so runs the code of a hostile file. It is kept
      from falling back.
    """
    numpy_core = np._core if hasattr(np, '_core') else np.core
    multiarray = numpy_core.multiarray
    # NumPy 2 renamed the module; checkpoints of either are read with either.
    reconstructors = [
        (function, f'numpy.{core}.multiarray.{function.__name__}')
        for function in (multiarray._reconstruct, multiarray.scalar)
        for core in ('core', '_core')
    ]
    numbers = {type(np.dtype(code)) for code in np.typecodes['AllFloat']}
    numbers |= {type(np.dtype(code)) for code in '?' + np.typecodes['AllInteger']}
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (_history_buffer_method, 'builtins.getattr'),
            np.ndarray,
            np.dtype,
            *reconstructors,
            *numbers,
        ]
    )
    if hasattr(mmengine_checkpoint, '_safe_torch_load'):
        mmengine_checkpoint._safe_torch_load = functools.partial(
            torch.load, weights_only=True
        )


def _history_buffer_method(owner: type, name: str) -> Callable:
    """Stand in for ``getattr`` when a checkpoint is loaded.

    A log history refers to its methods (min, max, current, mean) through ``getattr``,
    which on anything else would be a way out of ``weights_only``.
    """
    if owner is not HistoryBuffer or name.startswith('_'):
        raise pickle.UnpicklingError(f'a checkpoint must not read {name} of {owner}')
    return getattr(owner, name)
