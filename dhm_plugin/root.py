"""Where what is no Python of the package lies."""

from pathlib import Path

PACKAGE = Path(__file__).parent


def find_root() -> Path:
    """Find the folder that holds ``configs``, ``tools`` and ``model-index.yml``.

    A wheel carries them in ``dhm_plugin/.mim``, as MIM expects. In a checkout they are
    beside the package.

    Returns:
        Path: ``.mim`` in the package if it is there, else the checkout.
    """
    carried = PACKAGE / '.mim'
    return carried if carried.is_dir() else PACKAGE.parent
