"""Where MMPretrain's own command lines are."""

from pathlib import Path

import mmpretrain


def stock_tool(name: str) -> str:
    """Find one of the command lines that MMPretrain's package carries.

    Args:
        name (str): Its path below MMPretrain's ``tools``, such as ``'train.py'``.

    Returns:
        str: The file's path.

    Raises:
        FileNotFoundError: If the installed package carries no such file.
    """
    path = Path(mmpretrain.__file__).parent / '.mim' / 'tools' / name
    if not path.is_file():
        raise FileNotFoundError(
            f'{path}: MMPretrain {mmpretrain.__version__} is installed without its '
            'tools; install it from its wheel: pip install --force-reinstall '
            'mmpretrain (or onedl-mmpretrain)'
        )
    return str(path)
