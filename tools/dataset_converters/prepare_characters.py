#!/usr/bin/env python
"""Render the printable ASCII characters of typefaces: 94 classes, images of 32x32.

The fonts are those below a folder, such as that of Debian's package texlive-fonts-extra;
a family is those of one folder, and of others whose names differ from a hyphen on. A font
is left out if it cannot be read, lacks a character, has two that look the same, or one so
tall that its H has less than eight rows, or looks like another font throughout; and of a
family those over eight. A sixth of the families is
for test images, another sixth for held-out images, the last ones of the training split.

The files are those of MNIST's format: MMPretrain's MNIST reads them.
"""

import argparse
import hashlib
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dhm_plugin.checkpoints.files import CheckpointError, written_at_once

CHARACTERS = [chr(code) for code in range(33, 127)]
SIZE = 32
MARGIN = 2
LEAST_ROWS = 8
FONTS_OF_A_FAMILY = 8
# It is no character, and no font has it: what is drawn for it stands for any missing one.
MISSING = '\uffff'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('fonts', type=Path, help='folder; .otf and .ttf files below it')
    parser.add_argument('--out', type=Path, default=Path('data/characters'))
    return parser.parse_args()


def render(path: Path) -> np.ndarray | None:
    """Draw all characters of a font, on one line and in one size.

    Args:
        path (Path): The font.

    Returns:
        np.ndarray | None: Shape (94, 32, 32), uint8, 255 where there is ink; None if the
        font is not usable.
    """
    try:
        large = ImageFont.truetype(path, 100)
        boxes = [large.getbbox(character, anchor='ls') for character in CHARACTERS]
        left, top, right, bottom = np.array(boxes).T
        room = max((right - left).max(), bottom.max() - top.min())
        scale = (SIZE - 2 * MARGIN) / room
        font = ImageFont.truetype(path, 100 * scale)
        *images, missing = (
            _draw(font, character, MARGIN - top.min() * scale)
            for character in [*CHARACTERS, MISSING]
        )
    except (OSError, ValueError, ZeroDivisionError):
        return None
    different = {image.tobytes() for image in images}
    alike = len(different) < len(images) or missing.tobytes() in different
    rows = images[CHARACTERS.index('H')].any(axis=1).sum()
    small = rows < LEAST_ROWS or not all(image.any() for image in images)
    return None if alike or small else np.stack(images)


def _draw(font: ImageFont.FreeTypeFont, character: str, baseline: float) -> np.ndarray:
    left, _, right, _ = font.getbbox(character, anchor='ls')
    image = Image.new('L', (SIZE, SIZE))
    place = (SIZE - left - right) / 2, baseline
    ImageDraw.Draw(image).text(place, character, 255, font, anchor='ls')
    return np.asarray(image)


def usable(fonts: Iterable[Path]) -> dict[str, list[np.ndarray]]:
    """Render fonts, and leave out what is not usable.

    Args:
        fonts (Iterable[Path]): Files.

    Returns:
        dict[str, list[np.ndarray]]: Name of a family to the images of its fonts.
    """
    families, seen = defaultdict(list), set()
    for path in fonts:
        family = families[path.parent.name.partition('-')[0]]
        images = render(path) if len(family) < FONTS_OF_A_FAMILY else None
        if images is not None and images.tobytes() not in seen:
            seen.add(images.tobytes())
            family.append(images)
    return {name: family for name, family in families.items() if family}


def by_hash(name: str) -> str:
    """Give an order that has nothing to do with the names."""
    return hashlib.sha256(name.encode()).hexdigest()


def write(folder: Path, name: str, fonts: list[np.ndarray]) -> None:
    """Write images and labels of a split.

    Args:
        folder (Path): Where.
        name (str): ``'train'`` or ``'t10k'``, as in the names of MNIST's files.
        fonts (list[np.ndarray]): Images of each font.
    """
    images = np.concatenate(fonts)
    labels = np.tile(np.arange(len(CHARACTERS), dtype=np.uint8), len(fonts))
    for kind, magic, array in (
        ('images-idx3', 0x803, images),
        ('labels-idx1', 0x801, labels),
    ):
        header = np.array([magic, *array.shape], '>i4').tobytes()
        with written_at_once(folder / f'{name}-{kind}-ubyte') as path:
            path.write_bytes(header + array.tobytes())


def main() -> None:
    """Render, divide, write."""
    args = parse_args()
    paths = [p for p in args.fonts.rglob('*') if p.suffix.lower() in ('.otf', '.ttf')]
    paths.sort(key=lambda path: (by_hash(path.name), path))
    families = usable(paths)
    names = sorted(families, key=by_hash)
    part = len(names) // 6
    if not part:
        sys.exit(
            f'prepare_characters.py: {args.fonts}: has usable fonts of '
            f'{len(names)} families, of {len(paths)} fonts; there must be 6 families'
        )
    parts = names[2 * part :], names[part : 2 * part], names[:part]
    fonts = [[font for name in part for font in families[name]] for part in parts]
    try:
        write(args.out, 'train', fonts[0] + fonts[1])
        write(args.out, 't10k', fonts[2])
    except CheckpointError as error:
        sys.exit(f'prepare_characters.py: {error}')
    for split, names, found in zip(('training', 'held-out', 'test'), parts, fonts):
        print(
            f'{args.out}: {len(found) * len(CHARACTERS)} {split} images, {len(found)} '
            f'fonts of {len(names)} families: {", ".join(sorted(names))}'
        )


if __name__ == '__main__':
    main()
