"""One way out for every format: load, write aside, compare, move into place."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from .. import (
    CheckpointError,
    read_state_dict,
    refuse_to_overwrite,
    save,
    written_at_once,
)
from ..compare import load_all
from ..meta import meta_of_weights
from .to_mmpretrain import check_image_classifier, stock_network
from .to_onnx import run_onnx, write_onnx
from .to_torchvision import resnet, resnet_weights
from .trained import TrainedNetwork, load_trained

FORMATS = ('mmpretrain', 'torchvision', 'timm', 'onnx')


def export(
    config: str | Path,
    checkpoint: str | Path,
    out: str | Path,
    to: str,
    on_step: Callable[[str], None] = lambda step: None,
) -> tuple[int, float]:
    """Export a trained network, and check it before the file is moved into place.

    Both networks run on the same images, one at a time and several at once.

    Args:
        config (str | Path): The config that it was trained with, or the plain one.
        checkpoint (str | Path): What the training has written.
        out (str | Path): Where to. ``.safetensors``, or ``.pth`` or ``.pt`` by
            ``torch.save``; with ``to='onnx'`` ``.onnx``.
        to (str): One of :data:`FORMATS`.
        on_step (Callable): Told what is done next, in words. Defaults to nothing.

    Returns:
        tuple[int, float]: How many images were compared, and the largest difference of
        their logits.

    Raises:
        CheckpointError: If the checkpoint does not fit the config, the format has no
            such network, a package for it is missing, the exported network computes
            something else, or the file cannot be written; then there is none.
    """
    out = Path(out)
    if to not in FORMATS:
        raise CheckpointError(f'there is no format {to!r}; it must be one of {FORMATS}')
    suffixes = ('.onnx',) if to == 'onnx' else ('.pth', '.pt', '.safetensors')
    if out.suffix not in suffixes:
        raise CheckpointError(
            f'{out}: {to} is not written to a {out.suffix or "nameless"} file; it must '
            f'be {" or ".join(suffixes)}'
        )
    refuse_to_overwrite(checkpoint, out)
    on_step('loading the checkpoint')
    trained = load_trained(config, checkpoint)
    on_step(f'writing for {to}')
    try:
        with written_at_once(out) as temporary:
            if to == 'onnx':
                write_onnx(trained, temporary)
                run = partial(run_onnx, temporary)
            else:
                run = _write_weights(trained, temporary, to)
            on_step('comparing the logits')
            return _compare(trained, run, to)
    except ImportError as error:
        raise CheckpointError(
            f'{to} needs a package that is not installed ({error}): pip install '
            "'dhm_plugin[export]'"
        ) from error


def _write_weights(
    trained: TrainedNetwork, path: Path, to: str
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Write the weights, and load what was written into the other network."""
    check_image_classifier(trained)
    if to == 'mmpretrain':
        network = stock_network(trained)
        weights = trained.model.state_dict()
        content = dict(meta=meta_of_weights(trained.meta), state_dict=weights)
    else:
        content, network = resnet_weights(trained), resnet(trained, to)
    save(content, path)
    written, _ = read_state_dict(path)
    load_all(network, written, f"{to}'s network has other weights")
    return network.eval()


@torch.no_grad()
def _compare(
    trained: TrainedNetwork, run: Callable[[torch.Tensor], torch.Tensor], to: str
) -> tuple[int, float]:
    """Compare the logits of both networks on a batch of one and on a larger one."""
    largest, compared = 0.0, 0
    for number in (1, 3):
        images = trained.images(number)
        expected, logits = trained.model(images), run(images)
        difference = float((logits - expected).abs().max())
        if not difference <= 1e-4 * float(expected.abs().max()):
            raise CheckpointError(
                f'the {to} network computes something else: its logits differ by up to '
                f'{difference:.3g} on the same images'
            )
        largest, compared = max(largest, difference), compared + number
    return compared, largest
