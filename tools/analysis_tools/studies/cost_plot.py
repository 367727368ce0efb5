"""The picture of what accuracy costs: a line a method, a panel a setting."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator, StrMethodFormatter

from .comparison import paired_difference
from .figures import save
from .results import values
from .study import Study

# Of a method, by the FLOPs of its training: the accuracies of its seeds.
Line = dict[float, dict[int, float]]

# Those of Okabe and Ito, which the colour-blind can tell apart.
COLORS = '#000000', '#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9'
MARKERS = 'osD^vPX'
# What lies between methods of equal cost, so that their intervals can be seen.
_BESIDE = 1.03


def lines(
    studies: Sequence[tuple[Study, Sequence[dict[str, str]]]],
) -> dict[str, dict[str, Line]]:
    """Gather the lines of all panels.

    Args:
        studies (Sequence[tuple[Study, Sequence[dict[str, str]]]]): Studies, each with the
            rows of its final runs. Studies of one title share a panel; methods of one
            config are one line, in whatever length, under the name of the first.

    Returns:
        dict[str, dict[str, Line]]: Title of a panel to name of a method to its line.

    Raises:
        ValueError: If two runs of one panel, method, cost and seed differ.
    """
    panels = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    settings = {}
    for study, rows in studies:
        names = {}
        for method, config in study.configs.items():
            name = names.setdefault(config, method)
            flops = values(rows, method, 'flops')
            of_method = {r.get('settings') for r in rows if r['config'] == method}
            for seed, accuracy in values(rows, method).items():
                point = (study.title, name, flops[seed])
                by_seed = panels[study.title][name][flops[seed]]
                if (
                    by_seed.setdefault(seed, accuracy) != accuracy
                    or settings.setdefault(point, of_method) != of_method
                ):
                    raise ValueError(
                        f'{method}, seed {seed}: two studies with the title '
                        f'{study.title!r} have different settings or accuracies of it; '
                        'give studies of different settings different titles, and train '
                        'a run that two studies share once'
                    )
    return panels


def plot(panels: Mapping[str, Mapping[str, Line]], path: Path) -> None:
    """Draw the mean accuracy of the main branch over the cost of the training.

    Args:
        panels (Mapping[str, Mapping[str, Line]]): Of :func:`lines`.
        path (Path): The PNG or SVG file to write.
    """
    names = [*dict.fromkeys(name for panel in panels.values() for name in panel)]
    styles = dict(zip(names, zip(cycle(COLORS), cycle(MARKERS))))
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(2 + 4 * columns, 1.2 + 3.2 * rows),
        squeeze=False,
        sharex=True,
        layout='constrained',
    )
    for axes, (title, methods) in zip(grid.flat, panels.items()):
        for name, line in methods.items():
            color, marker = styles[name]
            place = names.index(name) - (len(names) - 1) / 2
            points = []
            for flops, by_seed in sorted(line.items()):
                mean, half, _ = paired_difference(by_seed, dict.fromkeys(by_seed, 0.0))
                points.append((flops / 1e12 * _BESIDE**place, mean, half))
            costs, means, halves = zip(*points)
            # Of one seed there is no interval.
            errors = [half if half < math.inf else 0 for half in halves]
            axes.errorbar(
                costs, means, errors, color=color, marker=marker, label=name, capsize=3
            )
        axes.set_title(title)
        axes.set_xscale('log')
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter('{x:g}'))
        axes.minorticks_off()
        axes.tick_params(labelbottom=True)
        axes.grid(alpha=0.3)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    figure.supxlabel('TFLOPs of the training (methods of equal cost stand side by side)')
    figure.supylabel('top-1 accuracy (%), mean, 95% interval')
    handles = {
        label: handle
        for axes in grid.flat
        for handle, label in zip(*axes.get_legend_handles_labels())
    }
    figure.legend(
        handles.values(), handles, loc='outside upper center', ncols=3 * columns
    )
    save(figure, path)
