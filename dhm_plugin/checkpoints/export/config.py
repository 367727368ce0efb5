"""Reads MMEngine's configs of both styles in one form."""

from pathlib import Path

from mmengine import Config


def load_config(path: str | Path) -> Config:
    """Read a config; one in pure Python gets strings where it has classes.

    Args:
        path (str | Path): The file, with ``_base_`` and names of components, or with
            ``read_base()`` and imported classes.

    Returns:
        Config: Every ``type`` is a string: a registered name, or that of a class with its
        module, such as ``'mmpretrain.models.ResNet'``. MMEngine builds either.
    """
    return Config(Config.fromfile(path).to_dict(), filename=path)


def type_name(kind: str) -> str:
    """Tell the name of a component without scope or module.

    Args:
        kind (str): A ``type`` of :func:`load_config`.

    Returns:
        str: The name.

    Examples:
        >>> type_name('mmpretrain.datasets.CIFAR10'), type_name('CIFAR10')
        ('CIFAR10', 'CIFAR10')
    """
    return kind.rpartition('.')[-1]
