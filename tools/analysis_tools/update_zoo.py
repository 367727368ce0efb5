#!/usr/bin/env python
"""Compute the metafiles, the model index and the tables of models from the configs."""

import argparse
import sys
from pathlib import Path

from dhm_plugin.checkpoints import CheckpointError, written_at_once
from dhm_plugin.root import find_root
from zoo import zoo_files


def main() -> None:
    """Parse the command line; write what is not current, or only name it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'root',
        nargs='?',
        type=Path,
        default=find_root(),
        help='the folder that holds configs (default: %(default)s)',
    )
    parser.add_argument(
        '--check',
        action='store_true',
        help='write nothing; exit 1 if a file would change',
    )
    args = parser.parse_args()
    try:
        files = zoo_files(args.root)
    except ValueError as error:
        sys.exit(f'update_zoo.py: {error}')
    old = {path for path in files if not path.is_file() or _read(path) != files[path]}
    for path in sorted(old):
        if not args.check:
            _write(path, files[path])
        print(f'{"not current" if args.check else "written"}: {path}')
    if not old:
        print('everything is current')
    sys.exit(1 if args.check and old else 0)


def _write(path: Path, text: str) -> None:
    try:
        with written_at_once(path) as temporary:
            temporary.write_text(text, encoding='utf-8')
    except CheckpointError as error:
        sys.exit(f'update_zoo.py: {error}')


def _read(path: Path) -> str:
    return path.read_text(encoding='utf-8')


if __name__ == '__main__':
    main()
