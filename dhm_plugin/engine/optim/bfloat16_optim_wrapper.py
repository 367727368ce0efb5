"""Mixed precision without a loss scale, on GPUs and CPUs."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmpretrain.registry import OPTIM_WRAPPERS
from torch import nn

from ...checked_arguments import checked_arguments


@OPTIM_WRAPPERS.register_module()
@checked_arguments
class BFloat16OptimWrapper(OptimWrapper):
    """Train in bfloat16 mixed precision where the device computes in it.

    Weights, statistics of the norm layers, losses and the optimizer stay in float32.
    bfloat16 has the range of float32: unlike MMEngine's ``AmpOptimWrapper``, which needs
    a GPU, this one scales no loss and so never waits for the GPU to look for infinities.

    A GPU or CPU that would have to emulate bfloat16 trains in float32; the log says so.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        accumulative_counts: int = 1,
        clip_grad: dict | None = None,
    ) -> None:
        super().__init__(optimizer, accumulative_counts, clip_grad)
        self.device_type = get_device()
        self.enabled = _computes_in_bfloat16(self.device_type)
        precision = 'bfloat16' if self.enabled else 'float32 (it has no bfloat16 units)'
        print_log(
            f'BFloat16OptimWrapper: the {self.device_type} trains in {precision}',
            logger='current',
        )

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the model in it."""
        with (
            super().optim_context(model),
            torch.autocast(self.device_type, torch.bfloat16, enabled=self.enabled),
        ):
            yield


def _computes_in_bfloat16(device_type: str) -> bool:
    if device_type == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # PyTorch 2.6 cannot tell for a CPU.
    features = getattr(torch.cpu, 'get_capabilities', dict)()
    return device_type == 'cpu' and any(
        there for name, there in features.items() if 'bf16' in name
    )
