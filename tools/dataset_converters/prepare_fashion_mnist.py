#!/usr/bin/env python
"""Put Fashion-MNIST where the configs look for it.

It is taken from the folder of Debian's package dataset-fashion-mnist, or any other with
the four files of its authors; without a folder, MMPretrain downloads it.
"""

import argparse
import gzip
import hashlib
import sys
import zlib
from pathlib import Path
from urllib.error import URLError

from mmengine.registry import init_default_scope
from mmpretrain.datasets import FashionMNIST

from dhm_plugin.checkpoints.files import written_at_once

# SHA-256 of what the four files hold, unpacked.
FILES = {
    'train-images-idx3-ubyte': (
        'c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888'
    ),
    'train-labels-idx1-ubyte': (
        'bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9'
    ),
    't10k-images-idx3-ubyte': (
        '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b'
    ),
    't10k-labels-idx1-ubyte': (
        '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34'
    ),
}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'source',
        nargs='?',
        type=Path,
        help='folder with the packed files, such as /usr/share/datasets/fashion-mnist',
    )
    parser.add_argument('--out', type=Path, default=Path('data/fashion_mnist'))
    return parser.parse_args()


def check(path: Path, content: bytes) -> None:
    """Check what a file holds, unpacked.

    Args:
        path (Path): The file.
        content (bytes): What it holds.

    Raises:
        ValueError: If it is something else than Fashion-MNIST.
    """
    expected = FILES[path.name.removesuffix('.gz')]
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ValueError(
            f'{path}: is not the file of Fashion-MNIST; unpacked, its SHA-256 is {found} '
            f'and must be {expected}'
        )


def unpack(source: Path, out: Path) -> None:
    """Unpack and check the four files.

    Args:
        source (Path): Folder of the packed files.
        out (Path): Folder to write them to.

    Raises:
        ValueError: If one of them holds something else than Fashion-MNIST.
    """
    contents = {}
    for name in FILES:
        path = source / f'{name}.gz'
        packed = path.read_bytes()
        try:
            contents[name] = gzip.decompress(packed)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f'{path}: is damaged: {error}') from error
        check(path, contents[name])
    for name, content in contents.items():
        with written_at_once(out / name) as path:
            path.write_bytes(content)


def check_unpacked(folder: Path) -> None:
    """Check what is in the folder that MMPretrain downloads to.

    Args:
        folder (Path): The folder; files may be missing.

    Raises:
        ValueError: If a file holds something else than Fashion-MNIST.
    """
    for path in (folder / name for name in FILES):
        try:
            if path.is_file():
                check(path, path.read_bytes())
        except ValueError as error:
            raise ValueError(f'{error}; remove it, and start again') from error


def main() -> None:
    """Unpack or download, then look whether MMPretrain reads it."""
    args = parse_args()
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        if args.source:
            unpack(args.source, args.out)
        else:
            # A download that was killed leaves a part.
            check_unpacked(args.out)
        init_default_scope('mmpretrain')
        # MMPretrain 1.2.0 picks the files by test_mode and not by split.
        numbers = [
            len(FashionMNIST(str(args.out), split, test_mode=split == 'test'))
            for split in ('train', 'test')
        ]
        if not args.source:
            check_unpacked(args.out)
    except URLError as error:
        sys.exit(
            f'prepare_fashion_mnist.py: {FashionMNIST.url_prefix}: {error.reason}; name '
            "a folder that has the files, such as that of Debian's package"
        )
    except (OSError, EOFError, ValueError, RuntimeError, AssertionError) as error:
        sys.exit(f'prepare_fashion_mnist.py: {error}')
    print(f'{args.out}: {numbers[0]} training and {numbers[1]} test images')


if __name__ == '__main__':
    main()
