"""Packing for DALI."""

from collections.abc import Sequence

from mmpretrain.datasets.transforms import PackInputs
from mmpretrain.registry import TRANSFORMS

from ...checked_arguments import checked_arguments


@TRANSFORMS.register_module()
@checked_arguments
class PackEncodedInputs(PackInputs):
    """Pack what ``PackInputs`` does, and an image's bytes for :class:`DaliPreprocessor`.

    What is to become of the image goes with its data sample. MMEngine's collate functions
    make a list of the bytes.

    Args:
        algorithm_keys (Sequence[str]): As in ``PackInputs``. Defaults to ().
        meta_keys (Sequence[str]): As there, to which those that DALI needs are added.
            Defaults to those of ``PackInputs``.
    """

    def __init__(
        self,
        algorithm_keys: Sequence[str] = (),
        meta_keys: Sequence[str] = PackInputs.DEFAULT_META_KEYS,
    ) -> None:
        needed = ('img_path', 'img_shape', 'flip', 'decoded', 'window')
        meta_keys = tuple(dict.fromkeys((*meta_keys, *needed)))
        super().__init__(algorithm_keys=algorithm_keys, meta_keys=meta_keys)

    @staticmethod
    def format_input(input_: object) -> object:
        """Leave bytes as they are, and make a tensor of an image."""
        if isinstance(input_, bytes):
            return input_
        return PackInputs.format_input(input_)
