"""Reading, converting and writing checkpoints, for the tools."""

from .files import (
    CheckpointError,
    convert_file,
    read_state_dict,
    refuse_to_overwrite,
    remove_unfinished,
    save,
    write_checkpoint,
    written_at_once,
)
from .official import dhm_to_official, official_names, official_to_dhm
from .strip import SIDE_BRANCH_PREFIXES, strip_side_branches

__all__ = [
    'SIDE_BRANCH_PREFIXES',
    'CheckpointError',
    'convert_file',
    'dhm_to_official',
    'official_names',
    'official_to_dhm',
    'read_state_dict',
    'refuse_to_overwrite',
    'remove_unfinished',
    'save',
    'strip_side_branches',
    'write_checkpoint',
    'written_at_once',
]
