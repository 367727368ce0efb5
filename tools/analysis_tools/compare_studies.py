#!/usr/bin/env python
"""Show what several studies have found: all their claims together, and costs.

The studies are files such as configs/studies/map/stage1.py, whose final runs
compare_methods.py has trained. A first table has a line a setting, a second one every
claim. A study is shown when all its final runs are done: what is claimed must not depend
on when somebody looked. Holm's correction is over the claims of all of them, also of
those whose runs are still to come. The picture has the accuracy over the cost of the
training, a line a method.
"""

import argparse
import sys
from pathlib import Path

from dhm_plugin.checkpoints import written_at_once
from studies import cost_plot, tables
from studies.final_rows import final_rows
from studies.study import read_study


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('studies', nargs='+', type=Path, help='files of studies')
    parser.add_argument(
        '--results',
        type=Path,
        required=True,
        help='folder that has results.csv, tuning.csv and choice.json of stage1.py in '
        'stage1',
    )
    parser.add_argument(
        '--out', type=Path, required=True, help='folder of claims.md and costs.png'
    )
    return parser.parse_args()


def main() -> None:
    """Read all, then show."""
    args = parse_args()
    try:
        found = {}
        for path in args.studies:
            if path.stem in found:
                raise ValueError(
                    f'{path}: two studies are named {path.stem}; their file names must '
                    'differ, for their claims are corrected together'
                )
            study = read_study(path, args.results / path.stem)
            finals = final_rows(study)
            if finals.rows and not finals.finished:
                print(
                    f'{path.stem}: {len(finals.rows)} of {finals.number} final runs are '
                    'done; it is shown when all are'
                )
            found[path.stem] = (study, finals.shown)
        if not any(rows for _, rows in found.values()):
            raise ValueError(
                f'{args.results}: has all final runs of none of these studies; '
                f'compare_methods.py STUDY --out {args.results}/NAME trains them'
            )
        claimed = {name: (rows, study.claims) for name, (study, rows) in found.items()}
        text = tables.settings_table(found) + tables.claims_table(claimed)
        lines = cost_plot.lines(list(found.values()))
    except (ValueError, OSError) as error:
        sys.exit(f'compare_studies.py: {error}')
    with written_at_once(args.out / 'claims.md') as temporary:
        temporary.write_text(text)
    picture = args.out / 'costs.png'
    cost_plot.plot(lines, picture)
    print(f'{text}\nThe picture is {picture}')


if __name__ == '__main__':
    main()
