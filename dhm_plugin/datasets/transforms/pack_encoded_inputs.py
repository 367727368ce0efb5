"""Packing for DALI."""

from mmpretrain.datasets.transforms import PackInputs
from mmpretrain.registry import TRANSFORMS

from ...checked_arguments import checked_arguments


@TRANSFORMS.register_module()
@checked_arguments
class PackEncodedInputs(PackInputs):
    """Pack what ``PackInputs`` does, and an image's bytes for :class:`DaliPreprocessor`.

    What is to become of the image goes with its data sample. MMEngine's collate functions
    make a list of the bytes.
    """

    def __init__(self) -> None:
        super().__init__(meta_keys=(*PackInputs.DEFAULT_META_KEYS, 'decoded', 'window'))

    @staticmethod
    def format_input(input_: object) -> object:
        """Leave bytes as they are, and make a tensor of an image."""
        if isinstance(input_, bytes):
            return input_
        return PackInputs.format_input(input_)
