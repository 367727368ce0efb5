"""Lets DALI decode the next batches while the network computes."""

from collections import deque
from collections.abc import Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner
from mmpretrain.registry import HOOKS
from torch.utils.data import DataLoader

from ...checked_arguments import checked_arguments
from ...models import DaliPreprocessor
from ..utils import network_of


@HOOKS.register_module()
@checked_arguments
class DecodeAheadHook(Hook):
    """Hand each batch to :class:`DaliPreprocessor` before it is needed.

    It runs with every network that has this preprocessor; a config need not name it.
    """

    def before_run(self, runner: Runner) -> None:
        """Let the data loaders of all loops read ahead.

        Raises:
            ImportError: If DALI is not installed.
            TypeError: If the network has another preprocessor.
            ValueError: If DALI is to decode on a GPU, and there is none.
        """
        preprocessor = network_of(runner).data_preprocessor
        if not isinstance(preprocessor, DaliPreprocessor):
            raise TypeError(
                'DecodeAheadHook is for the data_preprocessor DaliPreprocessor; it is a '
                f'{type(preprocessor).__name__}; leave the hook out'
            )
        _ = preprocessor.decoder  # now, not at the first batch, it says what is missing
        for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
            if isinstance(loop, BaseLoop) and not isinstance(
                loop.dataloader, DecodedAhead
            ):
                loop.dataloader = DecodedAhead(loop.dataloader, preprocessor)


class DecodedAhead:
    """A data loader whose next batches are being decoded already.

    It has every attribute of the one that it reads.

    Args:
        loader (DataLoader): The data loader.
        preprocessor (DaliPreprocessor): What decodes its batches.
        batches (int): How many to decode ahead. Defaults to 2.
    """

    def __init__(
        self, loader: DataLoader, preprocessor: DaliPreprocessor, batches: int = 2
    ) -> None:
        self.loader, self.preprocessor, self.batches = loader, preprocessor, batches

    def __getattr__(self, name: str) -> Any:
        if name == 'loader':  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self.loader, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # SwitchRecipeHook, for one, sets the loader's.
        own = name in ('loader', 'preprocessor', 'batches')
        object.__setattr__(self if own else self.loader, name, value)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[dict]:
        ahead = deque()
        for batch in self.loader:
            ahead.append(self.preprocessor.prefetch(batch))
            if len(ahead) > self.batches:
                yield ahead.popleft()
        yield from ahead
