"""What a checkpoint says of its training, without its weights."""

import zipfile
from pathlib import Path

import torch
from mmengine.runner import CheckpointLoader

# What stays true of the weights alone: their classes, and how long they were trained.
_KEPT = 'dataset_meta', 'epoch', 'iter', 'mmengine_version'


def read_meta(path: str | Path) -> dict:
    """Read what MMEngine keeps of a training, without running any code.

    Of a local archive no tensor is read, and so no checksum is verified: whoever loads
    the weights does that.

    Args:
        path (str | Path): A checkpoint, as MMEngine takes it.

    Returns:
        dict: Its ``meta``; empty if it has none.

    Raises:
        Exception: As MMEngine does, if it cannot be loaded.
    """
    content = None
    if zipfile.is_zipfile(path):
        try:
            content = torch.load(path, map_location='cpu', mmap=True, weights_only=True)
        except Exception:  # what is wrong, MMEngine's loader says below
            content = None
    if content is None:
        content = CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    meta = content.get('meta') if isinstance(content, dict) else None
    return meta if isinstance(meta, dict) else {}


def meta_of_weights(meta: dict | None) -> dict:
    """Give what a checkpoint says of its weights, without what is of its training.

    Args:
        meta (dict, optional): Its ``meta``, which some have as None.

    Returns:
        dict: The ``meta`` for a file of the weights alone.
    """
    return {key: meta[key] for key in _KEPT if meta and key in meta}
