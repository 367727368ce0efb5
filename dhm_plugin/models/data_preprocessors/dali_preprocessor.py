"""Data preprocessor that decodes, crops, resizes and flips with DALI."""

from collections.abc import Sequence
from concurrent.futures import Future

import torch
from mmpretrain.registry import MODELS

from ...checked_arguments import checked_arguments
from .batch_preprocessor import BatchPreprocessor
from .dali_cpu_decoder import DaliCpuDecoder
from .dali_decoder import DaliDecoder


@MODELS.register_module()
@checked_arguments
class DaliPreprocessor(BatchPreprocessor):
    """Decode, crop, resize and flip with DALI, then do as :class:`BatchPreprocessor`.

    It takes what :class:`PackEncodedInputs` packs; batches of images that are decoded
    already are treated as by :class:`BatchPreprocessor`. DALI is needed by the first
    batch of the former, not to build this.

    :class:`DecodeAheadHook` hands it each batch before it is needed.

    Args:
        device (str): What decodes: ``'gpu'``, with the help of the CPU, or ``'cpu'``.
            Defaults to ``'gpu'``.
        num_threads (int, optional): Threads of the CPU that decode each of two batches
            at once. Defaults to None: as many as this process has cores, shared with the
            other processes of the machine.
        mean (Sequence[float], optional): As in :class:`BatchPreprocessor`. Defaults to
            None.
        std (Sequence[float], optional): As there. Defaults to None.
        to_rgb (bool): Whether to swap the channels; without it they are in the order BGR.
            Defaults to False.
        to_onehot (bool): As there. Defaults to False.
        num_classes (int, optional): As there. Defaults to None.
        batch_augments (dict, optional): Mixup, CutMix, ... Defaults to None.

    Raises:
        ValueError: If there is no such device, or no thread.
    """

    def __init__(
        self,
        device: str = 'gpu',
        num_threads: int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        to_rgb: bool = False,
        to_onehot: bool = False,
        num_classes: int | None = None,
        batch_augments: dict | None = None,
    ) -> None:
        super().__init__(
            mean=mean,
            std=std,
            to_rgb=to_rgb,
            to_onehot=to_onehot,
            num_classes=num_classes,
            batch_augments=batch_augments,
        )
        if device not in ('cpu', 'gpu'):
            raise ValueError(
                f"DaliPreprocessor: device={device!r}; it must be 'gpu' or 'cpu'"
            )
        if num_threads is not None and num_threads < 1:
            raise ValueError(
                f'DaliPreprocessor: num_threads={num_threads}; it must be positive'
            )
        self.decodes_on, self.num_threads = device, num_threads
        self._decoder: DaliDecoder | None = None

    @property
    def decoder(self) -> DaliDecoder:
        """What decodes; it is made when it is first asked for.

        Raises:
            ImportError: If DALI is not installed.
            ValueError: If there is no GPU to decode on.
        """
        if self._decoder is None:
            if self.decodes_on == 'cpu':
                self._decoder = DaliCpuDecoder(self.num_threads)
            else:
                self._decoder = DaliDecoder(self.decodes_on, self.num_threads)
        return self._decoder

    def prefetch(self, data: dict) -> dict:
        """Begin to decode a batch, and wait for nothing.

        Args:
            data (dict): As the data loader gives it.

        Returns:
            dict: The same, and what :meth:`forward` waits for, as ``decoding``; of a
            batch that is decoded already, ``data`` itself.
        """
        if 'decoding' in data or not isinstance(data['inputs'][0], bytes):
            return data
        decoding = self.decoder.submit(data['inputs'], data['data_samples'])
        return {**data, 'decoding': decoding}

    def forward(self, data: dict, training: bool = False) -> dict:
        """Make a batch of network inputs.

        Args:
            data (dict): With ``inputs``, the bytes of N images, and ``data_samples``; or
                as :class:`BatchPreprocessor` takes it.
            training (bool): Whether to mix images, if it is so set. Defaults to False.

        Returns:
            dict: ``inputs``, float32 (N, C, H, W), and ``data_samples``.

        Raises:
            PIL.UnidentifiedImageError: If an image cannot be decoded; it is named.
        """
        data = self.prefetch(data)
        return super().forward(
            {**data, 'inputs': data.get('decoding', data['inputs'])}, training
        )

    def _network_inputs(
        self, inputs: Future | torch.Tensor | Sequence[torch.Tensor], training: bool
    ) -> torch.Tensor | list[torch.Tensor]:
        if not isinstance(inputs, Future):
            return super()._network_inputs(inputs, training)
        images = inputs.result()
        if images.is_cuda:
            # Another thread has allocated it, and may do so again once it is free.
            images.record_stream(torch.cuda.current_stream())
        return self._normalized(images, rgb=True)

    def __getstate__(self) -> dict:
        # Neither copies nor other processes can use its threads.
        return {**self.__dict__, '_decoder': None}
