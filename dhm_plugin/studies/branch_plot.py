"""Draws what trainings have logged of every branch."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

from ..checkpoints.files import written_at_once
from .log import Curves

matplotlib.use('Agg')
from matplotlib import pyplot as plt

# Title, unit of the x axis, and the beginnings of the names of the curves.
PANELS = (
    ('cross-entropy', 'iteration', ('loss_ce_', 'loss')),
    ('mimicking loss', 'iteration', ('loss_mimic_',)),
    ('validation top-1 accuracy (%)', 'epoch', ('branch/', 'accuracy/top1')),
    ('divergence, teacher to student', 'iteration', ('kl_',)),
    ('cosine of gradients, whole loss', 'iteration', ('cosine_stage',)),
    ('cosine of gradients, cross-entropy', 'iteration', ('cosine_ce_stage',)),
    ('CKA of features', 'iteration', ('cka_',)),
)


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
            :func:`dhm_plugin.studies.log.read` gave.
        path (Path): The PNG or SVG file to write.

    Raises:
        ValueError: If none of the trainings has logged what is drawn.
    """
    panels = []
    for title, unit, prefixes in PANELS:
        drawn = {run: _chosen(curves, prefixes) for run, curves in runs.items()}
        if any(drawn.values()):
            panels.append((title, unit, drawn))
    if not panels:
        raise ValueError(f'{", ".join(runs)}: the log has nothing of any branch')
    rows = -(-len(panels) // 2)
    figure, grid = plt.subplots(
        rows, 2, figsize=(12, 4 * rows), squeeze=False, layout='constrained'
    )
    for axes, (title, unit, drawn) in zip(grid.flat, panels):
        _panel(axes, title, unit, drawn)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    with written_at_once(path) as temporary:
        figure.savefig(temporary, dpi=120)
    plt.close(figure)


def _chosen(curves: Curves, prefixes: Sequence[str]) -> Curves:
    """Give the curves of the first prefix that there is, named without it."""
    for prefix in prefixes:
        chosen = {
            key.removeprefix(prefix).removesuffix('_top1') or 'main': points
            for key, points in curves.items()
            if key.startswith(prefix)
        }
        if chosen:
            return chosen
    return {}


def _panel(axes: plt.Axes, title: str, unit: str, drawn: Mapping[str, Curves]) -> None:
    names = sorted({name for curves in drawn.values() for name in curves})
    colors = dict(zip(names, plt.get_cmap('tab10').colors))
    for style, (run, curves) in zip(('-', '--', ':', '-.') * len(drawn), drawn.items()):
        for name, points in sorted(curves.items()):
            label = name if len(drawn) == 1 else f'{name}, {run}'
            axes.plot(*zip(*points), style, color=colors.get(name), label=label)
    if title.startswith(('cross-entropy', 'mimicking', 'divergence')):
        axes.set_yscale('log')
    axes.set_title(title)
    axes.set_xlabel(unit)
    axes.grid(alpha=0.3)
    axes.legend(fontsize='small', ncols=2 if len(axes.lines) > 6 else 1)
