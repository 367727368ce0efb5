"""What all pictures share: they are drawn without a screen, and written whole."""

from pathlib import Path

import matplotlib

from dhm_plugin.checkpoints.files import written_at_once

matplotlib.use('Agg')
from matplotlib import pyplot as plt
from matplotlib.figure import Figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure and close it.

    Args:
        figure (Figure): The figure.
        path (Path): The PNG or SVG file.

    Raises:
        CheckpointError: If it cannot be written.
    """
    # Text of an SVG file stays text.
    with written_at_once(path) as temporary, plt.rc_context({'svg.fonttype': 'none'}):
        figure.savefig(temporary, dpi=120)
    plt.close(figure)
