"""The frozen choice of a study: what the tuning has chosen, and of what."""

import json
from collections.abc import Sequence
from pathlib import Path

from dhm_plugin.checkpoints.files import written_at_once

from . import results
from .run import check
from .settings import differences
from .study import Point, Study
from .training import Training


def freeze(path: Path, study: Study, rows: Sequence[dict[str, str]]) -> None:
    """Write the choice, once.

    Args:
        path (Path): The JSON file; where it is, it stays as it is.
        study (Study): The study.
        rows (Sequence[dict[str, str]]): Of its tuning.

    Raises:
        ValueError: If a row is missing, or the file has another choice, or one of
            another study.
    """
    if path.is_file():
        frozen(path, study, rows)
        return
    choice = {'chosen': study.choose(rows), 'from': study.content}
    with written_at_once(path) as temporary:
        temporary.write_text(json.dumps(choice, indent=2) + '\n')


def frozen(path: Path, study: Study, rows: Sequence[dict[str, str]]) -> dict[str, Point]:
    """Read the choice, and check that it is this study's.

    Args:
        path (Path): The JSON file.
        study (Study): The study.
        rows (Sequence[dict[str, str]]): Of its tuning.

    Returns:
        dict[str, Point]: Of each method, the chosen settings.

    Raises:
        ValueError: If there is no file, or the study is not the one that it was chosen
            from, or the rows choose something else.
    """
    if not path.is_file():
        raise ValueError(
            f'{path}: is missing; before the final runs the tuning must be done and its '
            'choice be frozen: run with --tune'
        )
    choice = check_frozen(path, study)
    if differing := differences(choice['chosen'], study.choose(rows)):
        raise ValueError(
            f'{path}: is not what the rows of tuning.csv choose:\n{differing}\nOne of '
            'the two files was changed'
        )
    return choice['chosen']


def chosen_finals(study: Study) -> list[Training]:
    """Give the final runs, as the tuning in the study's folder has chosen them.

    Args:
        study (Study): The study; one without a grid has nothing to choose.

    Returns:
        list[Training]: Of :meth:`Study.finals`.

    Raises:
        ValueError: As of :func:`frozen`, or if a row of the tuning was trained with other
            settings.
    """
    if not study.grid:
        return study.finals({name: {} for name in study.configs})
    csv = study.folder / 'tuning.csv'
    rows = results.read(csv)
    chosen = frozen(study.folder / 'choice.json', study, rows)
    check(study.tunings(), rows, csv)
    return study.finals(chosen)


def check_frozen(path: Path, study: Study) -> dict:
    """Check that a frozen choice is of this study.

    Args:
        path (Path): The JSON file, which is there.
        study (Study): The study.

    Returns:
        dict: What is in the file: ``chosen``, and ``from`` what.

    Raises:
        ValueError: If it is of another study, or the file is damaged.
    """
    try:
        choice = json.loads(path.read_text())
        there = choice['from']
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{path}: is no frozen choice ({error}); restore the file, or tune in '
            'another --out'
        ) from error
    # Those of the first version do not say which seeds and claims are to come.
    later = {'seeds', 'claims'} - there.keys()
    asked = {key: value for key, value in study.content.items() if key not in later}
    if differing := differences(there, asked):
        raise ValueError(
            f'{path}: was chosen from another study:\n{differing}\nGive the study that '
            'it was chosen from, or another --out, and tune there'
        )
    return choice
