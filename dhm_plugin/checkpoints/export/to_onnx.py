"""To ONNX, with what the preprocessing must do in the metadata."""

import json
import warnings
from pathlib import Path

import torch
from mmcv.transforms import LoadImageFromFile
from mmengine import Config
from mmpretrain.registry import TRANSFORMS

from .. import CheckpointError
from .image_shape import pipelines_of, preprocessor_of
from .trained import TrainedNetwork


def preprocessing(trained: TrainedNetwork) -> dict[str, str]:
    """Tell what must be done to the pixels (0 to 255) before the network sees them.

    Args:
        trained (TrainedNetwork): The trained network.

    Returns:
        dict[str, str]: ``mean`` and ``std`` (JSON lists, in pixel values, by channel in
        the given order), ``channel_order`` (RGB, BGR or L), ``image_size`` (JSON list,
        height and width in pixels), and, where the checkpoint has them, ``classes`` (JSON
        list).

    Raises:
        CheckpointError: If the config has a transform that is not registered.
    """
    settings = preprocessor_of(trained.cfg)
    metadata = dict(
        mean=json.dumps(list(settings.get('mean') or ())),
        std=json.dumps(list(settings.get('std') or ())),
        channel_order=_channel_order(trained.cfg, trained.image_shape[0]),
        image_size=json.dumps(list(trained.image_shape[1:])),
    )
    classes = trained.meta.get('dataset_meta', {}).get('classes')
    if classes is not None:
        metadata['classes'] = json.dumps(list(classes))
    return metadata


def write_onnx(trained: TrainedNetwork, path: Path) -> None:
    """Write an ONNX file with a dynamic batch.

    Args:
        trained (TrainedNetwork): The trained network.
        path (Path): Where to.

    Raises:
        ImportError: If onnx, onnxscript or onnxruntime is not installed.
        CheckpointError: As of :func:`preprocessing`.
    """
    import onnx

    metadata = preprocessing(trained)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of the exporter, about its own insides
        program = torch.onnx.export(
            trained.model,
            (trained.images(2),),
            input_names=['images'],
            output_names=['logits'],
            dynamic_shapes=({0: torch.export.Dim('batch')},),
            dynamo=True,
            verbose=False,
        )
    proto = program.model_proto
    onnx.helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto)
    onnx.save(proto, path)


def run_onnx(path: Path, images: torch.Tensor) -> torch.Tensor:
    """Run an ONNX file with onnxruntime.

    Args:
        path (Path): The file.
        images (torch.Tensor): Preprocessed images (N, C, H, W).

    Returns:
        torch.Tensor: Logits (N, classes).
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return torch.from_numpy(session.run(None, {'images': images.numpy()})[0])


def _channel_order(cfg: Config, in_channels: int) -> str:
    if in_channels == 1:
        return 'L'
    steps = [step['type'] for step in next(iter(pipelines_of(cfg)), [])]
    kinds = {step: TRANSFORMS.get(step) for step in steps}
    for step in (step for step, kind in kinds.items() if kind is None):
        raise CheckpointError(
            f'{cfg.filename}: its transform {step} is not registered, so that the order '
            'of the channels is not known; add its module to custom_imports'
        )
    # MMCV decodes to BGR; data sets that come as arrays, as CIFAR, are RGB.
    decoded = any(issubclass(kind, LoadImageFromFile) for kind in kinds.values())
    to_rgb = preprocessor_of(cfg).get('to_rgb', False)
    return 'RGB' if to_rgb == decoded else 'BGR'
