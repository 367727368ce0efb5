"""Random crop and flip of a whole batch at once, on the device."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from ...checked_arguments import checked_arguments, is_integer
from ..iteration_seed import IterationSeed
from .batch_preprocessor import BatchPreprocessor


@MODELS.register_module()
@checked_arguments
class CropFlipPreprocessor(BatchPreprocessor):
    """Augment, normalize and batch what :class:`InMemoryDataset` gives.

    In training each image is padded with zeros, cropped and flipped at random, as
    MMPretrain's ``RandomCrop`` and ``RandomFlip`` do one by one: the same distribution,
    the same normalization. Batches of any other data set are treated as by
    :class:`BatchPreprocessor`.

    The random numbers come from seed, rank and iteration alone: networks of any kind see
    the same augmented images, and so does a training that was interrupted and resumed.

    Args:
        crop_size (int): Height and width of the crop, in pixels.
        padding (int): Zeros on each side before the crop, in pixels. Defaults to 0.
        flip_prob (float): Probability of a horizontal flip. Defaults to 0.0.
        mean (Sequence[float], optional): As in :class:`BatchPreprocessor`. Defaults to
            None.
        std (Sequence[float], optional): As in :class:`BatchPreprocessor`. Defaults to
            None.
        to_rgb (bool): Whether to swap the channels. Defaults to False.
        to_onehot (bool): As in :class:`BatchPreprocessor`. Defaults to False.
        num_classes (int, optional): Number of classes. Defaults to None.
        batch_augments (dict, optional): Mixup, CutMix, ... Defaults to None.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(
        self,
        crop_size: int,
        padding: int = 0,
        flip_prob: float = 0.0,
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
        integers = is_integer(crop_size) and is_integer(padding)
        if not integers or crop_size < 1 or padding < 0 or not 0 <= flip_prob <= 1:
            raise ValueError(
                f'CropFlipPreprocessor: crop_size={crop_size}, padding={padding}, '
                f'flip_prob={flip_prob}; the first must be a positive integer, the '
                'second one that is not negative, the third from 0 to 1'
            )
        self.crop_size = crop_size
        self.padding = padding
        self.flip_prob = flip_prob
        self._generator: torch.Generator | None = None
        self._seed = IterationSeed(each_process=True)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Make a batch of network inputs.

        Args:
            data (dict): Of :class:`InMemoryDataset`, or as :class:`BatchPreprocessor`
                takes it.
            training (bool): Whether to augment. Defaults to False.

        Returns:
            dict: ``inputs``, float32 (N, C, H, W), and ``data_samples``: in training,
            unless labels are mixed, one for the whole batch, with all N labels; else
            one an image.

        Raises:
            ValueError: If the padded images are smaller than the crop.
        """
        one_sample_an_image = not training or self.to_onehot
        if data['inputs'][0].ndim == 4 and one_sample_an_image:
            (batch,) = data['data_samples']
            samples = [DataSample().set_gt_label(x) for x in batch.gt_label.split(1)]
            data = {**data, 'data_samples': samples}
        return super().forward(data, training)

    def _network_inputs(
        self, inputs: torch.Tensor | Sequence[torch.Tensor], training: bool
    ) -> torch.Tensor | list[torch.Tensor]:
        if inputs[0].ndim != 4:
            return super()._network_inputs(inputs, training)
        images = inputs[0].to(self.device, non_blocking=True)
        return self._normalized_batch(self._crop_and_flip(images) if training else images)

    def _crop_and_flip(self, images: torch.Tensor) -> torch.Tensor:
        size, pad = self.crop_size, self.padding
        padded = F.pad(images, (0, 0, pad, pad, pad, pad))
        count, height, width, channels = padded.shape
        if min(height, width) < size:
            raise ValueError(
                f'CropFlipPreprocessor: crop_size={size}, but the padded images are '
                f'{height}x{width}; take a smaller crop or a larger padding'
            )
        random = self._random(images.device)
        device = images.device
        steps = torch.arange(size, device=device)
        where = dict(size=(count, 1), generator=random, device=device)
        rows = steps + torch.randint(height - size + 1, **where)
        columns = steps + torch.randint(width - size + 1, **where)
        flip = torch.rand(**where) < self.flip_prob
        columns = torch.where(flip, columns.flip(1), columns)
        first = torch.arange(count, device=device).view(-1, 1, 1) * height
        pixels = (first + rows.unsqueeze(2)) * width + columns.unsqueeze(1)
        cropped = padded.view(-1, channels).index_select(0, pixels.flatten())
        return cropped.view(count, size, size, channels)

    def _normalized_batch(self, images: torch.Tensor) -> torch.Tensor:
        """Turn uint8 (N, H, W, C) into float32 (N, C, H, W), channels last."""
        if self.swap_channels and images.size(-1) == 3:
            images = images.flip(-1)
        if self.mean is not None:
            shape = torch.broadcast_shapes(images.shape, self.mean.shape[:1])
            images = images.expand(shape)
        count, height, width, channels = images.shape
        inputs = images.reshape(count, -1).float()
        if self.mean is not None:
            # Along whole images: broadcast over 3 channels is several times slower.
            mean, std = (x.flatten().expand(channels) for x in (self.mean, self.std))
            inputs = inputs.sub_(mean.repeat(height * width))
            inputs = inputs.div_(std.repeat(height * width))
        return inputs.view(count, height, width, channels).permute(0, 3, 1, 2)

    def _random(self, device: torch.device) -> torch.Generator:
        if self._generator is None or self._generator.device != device:
            self._generator = torch.Generator(device)
        (seed,) = self._seed.next_sequence().generate_state(1, np.uint64)
        self._generator.manual_seed(int(seed) >> 1)
        return self._generator
