"""The picture of a study: every training a point."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import pyplot as plt

from .comparison import differences, paired_difference
from .figures import save
from .results import values


def plot(rows: Sequence[dict[str, str]], configs: Sequence[str], path: Path) -> None:
    """Draw the main branch's accuracies, and their differences from the first config.

    Args:
        rows (Sequence[dict[str, str]]): Of the CSV file.
        configs (Sequence[str]): Names of the configs, in order.
        path (Path): The PNG or SVG file to write.
    """
    configs = [config for config in configs if values(rows, config)]
    reference = values(rows, configs[0])
    height = 1.2 + 0.45 * len(configs)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10, height), sharey=True, layout='constrained'
    )
    for place, config in enumerate(configs):
        main = values(rows, config)
        mean = sum(main.values()) / len(main)
        left.plot(main.values(), [place] * len(main), 'o', color='#1f77b4', alpha=0.5)
        left.plot([mean] * 2, [place - 0.3, place + 0.3], color='black')
        found = differences(main, reference)
        if place and found:
            mean, half, seeds = paired_difference(main, reference)
            right.plot(found, [place] * seeds, 'o', color='#d62728', alpha=0.5)
            if seeds > 1:
                right.errorbar(mean, place, xerr=half, color='black', capsize=4)
    right.axvline(0, color='grey', linewidth=1)
    left.set_yticks(range(len(configs)), configs)
    left.invert_yaxis()
    left.set_xlabel('top-1 accuracy of the main branch (%), mean')
    right.set_xlabel(f'difference from {configs[0]},\nsame seed; mean, 95% interval')
    for axes in (left, right):
        axes.grid(axis='x', alpha=0.3)
    save(figure, path)
