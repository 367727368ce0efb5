"""Tables for people, and JSON for programs."""

import platform
from collections.abc import Sequence

import mmengine
import mmpretrain
import torch

import markdown_table
from machine import cpu_name, device_name

from .timing import Ratio, Times


def table(rows: Sequence[dict]) -> str:
    """Lay rows out as a Markdown table.

    Args:
        rows (Sequence[dict]): Column name to cell: text, a number, :class:`Times` or a
            :class:`Ratio`; all rows with the same columns.

    Returns:
        str: The table, with a newline at the end.
    """
    lines = [[_cell(value) for value in row.values()] for row in rows]
    return markdown_table.table([*rows[0]], *lines)


def machine(gpu: bool = True) -> str:
    """Describe this machine and the versions that run on it.

    Args:
        gpu (bool): Whether the GPU, if there is one, has been measured. Defaults to True.

    Returns:
        str: The text.
    """
    device = cpu_name()
    if gpu and torch.cuda.is_available():
        device = f'{device_name()}, {device}'
    return (
        f'{device}, {torch.get_num_threads()} threads; Python '
        f'{platform.python_version()}, PyTorch {torch.__version__}, mmpretrain '
        f'{mmpretrain.__version__}, mmengine {mmengine.__version__}'
    )


def plain_numbers(rows: Sequence[dict]) -> list[dict]:
    """Turn the cells of a table into what JSON can hold: all times, in seconds."""
    return [
        {
            key: value.seconds if isinstance(value, Times) else value
            for key, value in row.items()
        }
        for row in rows
    ]


def _cell(value: object) -> str:
    if isinstance(value, Times) and not isinstance(value, Ratio):
        # What is rounded up to a second is one.
        unit, factor = ('s', 1) if value.median >= 0.9995 else ('ms', 1000)
        return f'{_three_digits(value.median * factor)} {unit} ± {value.spread:.0%}'
    return _three_digits(value) if isinstance(value, float) else str(value)


def _three_digits(value: float) -> str:
    return f'{value:,.0f}' if value >= 999.5 else f'{value:.3g}'
