"""The one place that works around upstream."""

import functools

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint


def load_checkpoints_safely() -> None:
    """Let MMEngine load its own checkpoints, and only tensors and plain data.

    - mmengine 0.10.7 calls ``torch.load`` as it is, which from torch 2.6 on
      refuses the ``HistoryBuffer`` objects and NumPy arrays of MMEngine's own
      checkpoints: resuming and testing fail. Those types are declared safe;
      nothing else is.
    - onedl-mmengine 0.10.12 loads with ``weights_only=False`` whatever
      ``weights_only=True`` refuses, and so runs the code of a hostile file. It is
      kept from falling back.
    """
    numpy_core = np._core if hasattr(np, '_core') else np.core
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            numpy_core.multiarray._reconstruct,
            numpy_core.multiarray.scalar,
            np.ndarray,
            np.dtype,
            type(np.dtype(np.float64)),
            type(np.dtype(np.int64)),
        ]
    )
    if hasattr(mmengine_checkpoint, '_safe_torch_load'):
        mmengine_checkpoint._safe_torch_load = functools.partial(
            torch.load, weights_only=True
        )
