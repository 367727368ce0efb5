#!/usr/bin/env python
"""Draw losses, accuracies and consistency of every branch from the logs of trainings."""

import argparse
import sys
from pathlib import Path

from studies.branch_plot import draw, run_names
from studies.log import read


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dirs', nargs='+', type=Path, metavar='WORK_DIR')
    parser.add_argument(
        '--out', type=Path, default=Path('branches.png'), help='a PNG or SVG file'
    )
    return parser.parse_args()


def main() -> None:
    """Read the logs and draw."""
    args = parse_args()
    try:
        names = run_names(args.work_dirs)
        draw(dict(zip(names, map(read, args.work_dirs))), args.out)
    except (ValueError, OSError) as error:
        sys.exit(f'plot_branches.py: {error}')
    print(args.out)


if __name__ == '__main__':
    main()
