"""The checksums of a checkpoint file, which PyTorch writes and does not look at."""

import zipfile
from pathlib import Path

_CHUNK = 1 << 22


class DamagedArchive(ValueError):
    """A checkpoint file that is not what was written; the message names the entry."""


def verify_archive(path: str | Path) -> None:
    """Check that a checkpoint's content is what was written.

    The older format of ``torch.save`` and safetensors have no checksums: a file of
    theirs passes.

    Args:
        path (str | Path): The file.

    Raises:
        DamagedArchive: If the checksum of an entry is another, or the file is no archive
            although it begins as one, or a tensor is compressed, as none of PyTorch's is:
            a small file could then take all memory.
        OSError: If it cannot be read.
    """
    with open(path, 'rb') as file:
        if file.read(2) != b'PK':
            return
    entry = 'its table of contents'
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                entry = info.filename
                # But the code of TorchScript, which is not loaded.
                compressed = info.compress_type != zipfile.ZIP_STORED
                if compressed and entry.split('/')[1:2] != ['code']:
                    raise ValueError('it is compressed, which PyTorch does not do')
                with archive.open(info) as content:
                    while content.read(_CHUNK):
                        pass
    except Exception as error:  # a damaged header makes zipfile raise about anything
        raise DamagedArchive(
            f'{path}: is truncated or damaged, in {entry} ({error}); take another copy '
            'of the file, or an earlier checkpoint; or it was saved without checksums'
        ) from error
