"""Tables in Markdown."""

from collections.abc import Sequence


def table(header: Sequence[str], *lines: Sequence[str]) -> str:
    """Lay out a table.

    Args:
        header (Sequence[str]): Names of the columns.
        *lines (Sequence[str]): The cells of each line.

    Returns:
        str: The table, with a newline at the end.
    """
    rows = [header, ['---'] * len(header), *lines]
    return ''.join(f'| {" | ".join(row)} |\n' for row in rows)
