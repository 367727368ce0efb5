"""Draws what trainings have logged of every branch."""

import os
import re
import statistics
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.lines import Line2D

from dhm_plugin.engine.hooks.branch_charts_hook import CHARTS

from .figures import save
from .log import Curves

# With more points, a curve is drawn with its running mean over a tenth of them.
SMOOTHED = 40

# What a network without side branches logs in their place.
PLAIN = {'cross-entropy': 'loss()', 'validation accuracy (%)': 'accuracy/(.+)'}


def run_names(work_dirs: Sequence[Path]) -> list[str]:
    """Name trainings by what differs in the paths of their folders.

    Args:
        work_dirs (Sequence[Path]): As of ``--work-dir``.

    Returns:
        list[str]: ``dhm/seed0`` and ``dsl/seed0`` of two; the last part of a single one.
    """
    folders = [folder.resolve() for folder in work_dirs]
    if len(folders) == 1:
        return [folders[0].name]
    common = os.path.commonpath(folders)
    return [folder.relative_to(common).as_posix() for folder in folders]


def draw(runs: Mapping[str, Curves], path: Path) -> None:
    """Draw all branches of one or several trainings, one panel a kind of number.

    Args:
        runs (Mapping[str, Curves]): Name of a training to what
            :func:`studies.log.read` gave.
        path (Path): The PNG or SVG file to write.

    Raises:
        ValueError: If none of the trainings has logged what is drawn.
    """
    panels = []
    for title, pattern in CHARTS.items():
        drawn = {
            run: _chosen(curves, pattern) or _chosen(curves, PLAIN.get(title, pattern))
            for run, curves in runs.items()
        }
        if any(drawn.values()):
            panels.append((title, drawn))
    if not panels:
        raise ValueError(f'{", ".join(runs)}: the log has nothing of any branch')
    rows = -(-len(panels) // 2)
    figure, grid = plt.subplots(
        rows, 2, figsize=(12, 4 * rows), squeeze=False, layout='constrained'
    )
    styles = dict(zip(runs, cycle(('-', ':', '--', '-.'))))
    for axes, (title, drawn) in zip(grid.flat, panels):
        _panel(axes, title, drawn, styles)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    if len(runs) > 1:
        handles = [
            Line2D([], [], color='black', ls=styles[run], label=run) for run in runs
        ]
        figure.legend(handles=handles, loc='outside upper center', ncols=4)
    save(figure, path)


def _chosen(curves: Curves, pattern: str) -> Curves:
    """Give the curves whose names match, by their labels; top-1 accuracies by branch."""
    matches = {key: re.fullmatch(pattern, key) for key in curves}
    return {
        re.sub('_?top1$', '', match[1]) or 'main': curves[key]
        for key, match in matches.items()
        if match
    }


def _panel(
    axes: plt.Axes,
    title: str,
    drawn: Mapping[str, Curves],
    styles: Mapping[str, str],
) -> None:
    """Draw curves, a color each, of the runs, a style each.

    The axis of an accuracy is that of the second half of the training, in which methods
    differ by less than the first epochs do.
    """
    names = sorted(
        {name for curves in drawn.values() for name in curves},
        key=lambda name: (name != 'main', name == 'ensemble', name),
    )
    colors = dict(zip(names, cycle(plt.get_cmap('tab10').colors)))
    for run, curves in drawn.items():
        for name, points in curves.items():
            steps, values = zip(*points)
            if len(points) > SMOOTHED:
                axes.plot(steps, values, styles[run], color=colors[name], alpha=0.15)
                values = _running_mean(values)
            axes.plot(steps, values, styles[run], color=colors[name])
    of_what = title.removeprefix('validation ')
    if of_what.startswith(('cross-entropy', 'mimicking', 'divergence')):
        axes.set_yscale('log')
    if of_what.startswith('accuracy'):
        later = [
            value
            for curves in drawn.values()
            for points in curves.values()
            for _, value in points[len(points) // 2 :]
        ]
        margin = (max(later) - min(later)) / 20 or 1
        axes.set_ylim(min(later) - margin, max(later) + margin)
    axes.set_title(title)
    axes.set_xlabel('epoch' if of_what != title else 'iteration')
    axes.grid(alpha=0.3)
    handles = [Line2D([], [], color=colors[name], label=name) for name in names]
    axes.legend(handles=handles, fontsize='small', ncols=2 if len(names) > 4 else 1)


def _running_mean(values: Sequence[float]) -> list[float]:
    half = len(values) // 20
    return [
        statistics.mean(values[max(0, i - half) : i + half + 1])
        for i in range(len(values))
    ]
