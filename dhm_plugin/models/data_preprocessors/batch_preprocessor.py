"""MMPretrain's data preprocessor, with less memory traffic and no wait for copies."""

from collections.abc import Sequence

import torch
from mmpretrain.models import ClsDataPreprocessor
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from ...checked_arguments import checked_arguments
from ...to_device import to_device


@MODELS.register_module()
@checked_arguments
class BatchPreprocessor(ClsDataPreprocessor):
    """Do what ``ClsDataPreprocessor`` does, bit for bit, and normalize in place.

    The copies to a GPU wait for nothing: that of the images where the data loader pins
    its memory, that of the labels, which no loader pins, in any case.

    Args:
        mean (Sequence[float], optional): Of each channel, subtracted; in the order of the
            network's input. Defaults to None: images are not normalized.
        std (Sequence[float], optional): Of each channel, divided by. Defaults to None.
        to_rgb (bool): Whether to swap the first and the last of three channels. Defaults
            to False.
        to_onehot (bool): Whether to make scores (N, classes) of the labels. Defaults to
            False.
        num_classes (int, optional): Number of classes. Defaults to None.
        batch_augments (dict, optional): Mixup, CutMix, ... Defaults to None.

    Raises:
        ValueError: If only one of ``mean`` and ``std`` is given.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        to_rgb: bool = False,
        to_onehot: bool = False,
        num_classes: int | None = None,
        batch_augments: dict | None = None,
    ) -> None:
        # What the stock class gets is normalized already.
        super().__init__(
            to_onehot=to_onehot, num_classes=num_classes, batch_augments=batch_augments
        )
        if (mean is None) != (std is None):
            raise ValueError(
                f'{type(self).__name__}: mean={mean}, std={std}; give both or none'
            )
        self.swap_channels = to_rgb
        for name, values in (('mean', mean), ('std', std)):
            values = None if values is None else torch.tensor(values).view(-1, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Make a batch of network inputs.

        Args:
            data (dict): With ``inputs``, uint8 (N, C, H, W), or N images (C, H, W), and
                ``data_samples``.
            training (bool): Whether to augment. Defaults to False.

        Returns:
            dict: ``inputs``, float32 (N, C, H, W), and ``data_samples``.
        """
        inputs = self._network_inputs(data['inputs'], training)
        if self.device.type == 'cuda':
            self._send_labels(data.get('data_samples') or [])
        return super().forward({**data, 'inputs': inputs}, training)

    def _network_inputs(
        self, inputs: torch.Tensor | Sequence[torch.Tensor], training: bool
    ) -> torch.Tensor | list[torch.Tensor]:
        if isinstance(inputs, torch.Tensor):
            return self._normalized(inputs)
        return [self._normalized(image) for image in inputs]

    def _send_labels(self, samples: Sequence[DataSample]) -> None:
        """Do, with one copy, for what the stock class would wait."""
        labels = [x.gt_label for x in samples if 'gt_label' in x]
        if labels:
            sent = to_device(torch.cat(labels), self.device)
            for sample, label in zip(samples, sent.split([len(x) for x in labels])):
                sample.set_gt_label(label)
        scores = [x.gt_score for x in samples if 'gt_score' in x]
        if scores:
            for sample, score in zip(
                samples, to_device(torch.stack(scores), self.device)
            ):
                sample.set_gt_score(score)

    def _normalized(self, images: torch.Tensor, rgb: bool = False) -> torch.Tensor:
        """Turn uint8 (..., C, H, W), BGR unless ``rgb``, into float32."""
        images = images.to(self.device, non_blocking=True)
        if self.swap_channels != rgb and images.size(-3) == 3:
            images = images.flip(-3)
        if self.mean is None:
            return images.float()
        # Grey ones get as many channels as there are means.
        images = images.expand(torch.broadcast_shapes(images.shape, self.mean.shape))
        normalized = torch.empty_like(images, dtype=torch.float32)
        # One by one, they stay in the CPU's cache from one pass to the next.
        one_by_one = images.is_cpu and images.dim() == 4
        pairs = zip(normalized, images) if one_by_one else [(normalized, images)]
        for result, image in pairs:
            result.copy_(image).sub_(self.mean).div_(self.std)
        return normalized
