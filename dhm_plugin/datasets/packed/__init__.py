"""Images packed in few large files, which any transform reads as it reads files."""

from .packed_backend import PackedBackend
from .packed_imagenet import PackedImageNet

__all__ = ['PackedBackend', 'PackedImageNet']
