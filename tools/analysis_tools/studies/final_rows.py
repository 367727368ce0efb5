"""The final runs of a study: which are done, and whether all are."""

from dataclasses import dataclass

from . import results
from .choice import chosen_finals
from .run import check
from .study import Study


@dataclass(frozen=True)
class FinalRows:
    """What final runs have been done.

    Args:
        rows (list[dict[str, str]]): Of ``results.csv``.
        number (int): Of the final runs of the study; 0 where none is begun.
    """

    rows: list[dict[str, str]]
    number: int

    @property
    def finished(self) -> bool:
        """Whether all are done."""
        return 0 < self.number == len(results.by_run(self.rows))

    @property
    def shown(self) -> list[dict[str, str]]:
        """The rows, once all are done: what is claimed depends on no moment."""
        return self.rows if self.finished else []


def final_rows(study: Study) -> FinalRows:
    """Read the final runs of a study, and check that they are what was chosen.

    Args:
        study (Study): The study; its CSV files and its frozen choice are in its folder.

    Returns:
        FinalRows: Without rows of other methods.

    Raises:
        ValueError: If one has a seed that the study does not list or was trained with
            other settings, or as of :func:`chosen_finals`.
    """
    csv = study.folder / 'results.csv'
    rows = results.read(csv)
    if not rows:
        return FinalRows([], 0)
    study.check_seeds(rows, csv)
    finals = chosen_finals(study)
    check(finals, rows, csv)
    rows = [row for row in rows if row['config'] in study.configs]
    return FinalRows(rows, len(finals))
