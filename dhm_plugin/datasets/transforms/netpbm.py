"""Images as files that need not be decompressed: binary netpbm, which tools read."""

import re

import numpy as np

_HEADER = re.compile(rb'P6 (\d+) (\d+) 255\n')


def to_netpbm(image: np.ndarray) -> bytes:
    """Write an image.

    Args:
        image (np.ndarray): uint8 (H, W, 3), RGB.

    Returns:
        bytes: Of a file, often named ``.ppm``.
    """
    height, width = image.shape[:2]
    return b'P6 %d %d 255\n' % (width, height) + image.tobytes()


def from_netpbm(content: bytes) -> np.ndarray | None:
    """Give the pixels of what :func:`to_netpbm` has written, without a copy.

    Args:
        content (bytes): Of any file.

    Returns:
        np.ndarray | None: uint8 (H, W, 3), RGB, read-only; None of any other file.
    """
    header = _HEADER.match(content)
    if header is None:
        return None
    width, height = map(int, header.groups())
    if len(content) - header.end() != 3 * width * height:
        return None
    pixels = np.frombuffer(content, np.uint8, offset=header.end())
    return pixels.reshape(height, width, 3)
