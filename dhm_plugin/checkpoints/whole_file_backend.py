"""MMEngine's access to a local disk, with files that are whole or not there."""

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from .files import written_at_once

WHOLE_FILES = 'whole_files'


@register_backend(WHOLE_FILES)
class WholeFileBackend(LocalBackend):
    """Write as :func:`written_at_once` does, where MMEngine writes in place.

    ``backend_args=dict(backend='whole_files')`` selects it.
    """

    def put(self, obj: bytes | memoryview, filepath: str | Path) -> None:
        """Write a file as a whole or not at all.

        Args:
            obj (bytes | memoryview): Its content.
            filepath (str | Path): The file; its folder is made if there is none.

        Raises:
            CheckpointError: If it cannot be written; nothing has changed then.
        """
        with written_at_once(filepath) as temporary:
            temporary.write_bytes(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write a text file as a whole or not at all.

        Args:
            obj (str): Its content.
            filepath (str | Path): As of :meth:`put`.
            encoding (str): Its encoding. Defaults to ``'utf-8'``.

        Raises:
            CheckpointError: As :meth:`put` does.
        """
        self.put(obj.encode(encoding), filepath)
