"""MMEngine's access to an image within a shard."""

import functools
import os
import re
from pathlib import Path

from isal.isal_zlib import crc32
from mmengine.fileio import BaseStorageBackend, register_backend

from .index import AGAIN, PackError

_PLACE = re.compile(r'packed://(.+?)#(\d+)\+(\d+):([0-9a-f]{8})/(.*)', re.DOTALL)
# Fewer than a process may have open, which is often 1024.
_OPEN_SHARDS = 256


def packed_uri(shard: Path, offset: int, size: int, crc: int, name: str) -> str:
    """Tell where an image is, as :class:`PackedBackend` takes it.

    Args:
        shard (Path): The file it lies in.
        offset (int): Its first byte there.
        size (int): The number of its bytes.
        crc (int): Their CRC-32.
        name (str): Its name, for errors.

    Returns:
        str: Such as ``packed://train-00000.tar#512+9130:0a1b2c3d/n01440764/7.JPEG``.
    """
    return f'packed://{shard}#{offset}+{size}:{crc:08x}/{name}'


@register_backend('packed', prefixes='packed')
class PackedBackend(BaseStorageBackend):
    """Read images that lie in shards.

    MMEngine takes it for paths of :func:`packed_uri`: whatever reads through
    ``mmengine.fileio`` reads them. The shards stay open.
    """

    def get(self, filepath: str) -> bytes:
        """Read an image, and compare its CRC-32.

        Args:
            filepath (str): As :func:`packed_uri` gives it.

        Returns:
            bytes: Its content.

        Raises:
            PackError: If the path has another form, or the shard is truncated or damaged.
            OSError: If it cannot be read.
        """
        match = _PLACE.fullmatch(str(filepath))
        if match is None:
            raise PackError(f'{filepath}: must be packed://SHARD#OFFSET+SIZE:CRC32/NAME')
        shard, offset, size, crc, name = match.groups()
        offset, size = int(offset), int(size)
        file = _opened(shard)  # held: else another thread may close it meanwhile
        content = os.pread(file.handle, size, offset)
        if len(content) < size:
            raise PackError(
                f'{shard}: is truncated: it ends before byte {offset + size}, the end of '
                f'{name}; {AGAIN}'
            )
        found = crc32(content)
        if found != int(crc, 16):
            raise PackError(
                f'{shard}: is damaged in {name}, whose CRC-32 is {found:08x} and must be '
                f'{crc}; remove the shard, and {AGAIN}'
            )
        return content

    def get_text(self, filepath: str, encoding: str = 'utf-8') -> str:
        """Read a text as :meth:`get` reads an image."""
        return self.get(filepath).decode(encoding)


class _OpenFile:
    """A file that is closed with its last user: another thread may still read it."""

    def __init__(self, path: str) -> None:
        self.handle = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, 'handle'):
            os.close(self.handle)


_opened = functools.lru_cache(maxsize=_OPEN_SHARDS)(_OpenFile)
