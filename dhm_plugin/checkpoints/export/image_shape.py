"""The images that a config is made for."""

from mmengine import Config, ConfigDict
from mmengine.utils import is_seq_of

from .config import type_name


def image_shape(cfg: Config) -> tuple[int, int, int]:
    """Tell the shape of the images that a config tests on, or else trains on.

    Args:
        cfg (Config): The config.

    Returns:
        tuple[int, int, int]: Channels, height, width.

    Raises:
        ValueError: If neither a step of a pipeline nor the data preprocessor crops,
            resizes or pads to a size.
    """
    mean = preprocessor_of(cfg).get('mean')
    backbone = cfg.model.get('backbone') or ConfigDict()
    channels = len(mean) if mean else backbone.get('in_channels', 3)
    steps = [
        *(step for pipeline in pipelines_of(cfg) for step in reversed(pipeline)),
        preprocessor_of(cfg),
        cfg.get('data_preprocessor') or ConfigDict(),
    ]
    for step in steps:
        kind = type_name(step.get('type', ''))
        keys = ('size',) if kind == 'Pad' else ('crop_size', 'scale', 'size')
        sizes = [step[key] for key in keys if step.get(key)]
        sizes = [(size, size) if isinstance(size, int) else size for size in sizes]
        # Of some, `scale` is a range of areas or factors.
        size = next((size for size in sizes if is_seq_of(size, int)), None)
        if size:
            # MMCV's alone have the width first.
            width_first = kind in ('Pad', 'Resize')
            return channels, *(reversed(size) if width_first else size)
    raise ValueError(
        f'{cfg.filename}: the image size is unknown; a step of the test or training '
        'pipeline must crop to one, such as CenterCrop, or the data preprocessor, as '
        'CropFlipPreprocessor does'
    )


def preprocessor_of(cfg: Config) -> ConfigDict:
    """Give the config of the data preprocessor: the model's own, or the top level's.

    Args:
        cfg (Config): The config.

    Returns:
        ConfigDict: As MMEngine's runner takes it.
    """
    own = cfg.model.get('data_preprocessor')
    return own or cfg.get('data_preprocessor') or ConfigDict()


def pipelines_of(cfg: Config) -> list[list[ConfigDict]]:
    """Give the transforms of the test images and of the training images.

    Args:
        cfg (Config): The config; that of a pretraining has no test images.

    Returns:
        list[list[ConfigDict]]: As of :func:`pipeline_of`, a data loader each.
    """
    loaders = [cfg.get('test_dataloader'), cfg.get('train_dataloader')]
    return [pipeline_of(loader.dataset) for loader in loaders if loader]


def pipeline_of(dataset: ConfigDict) -> list[ConfigDict]:
    """Give the transforms of a data set's config, inside any wrappers.

    Args:
        dataset (ConfigDict): The config of a data set, or of a wrapper with ``dataset``
            or ``datasets``.

    Returns:
        list[ConfigDict]: The transforms, in their order; those of the first data set.
    """
    while 'pipeline' not in dataset:
        inner = dataset.get('dataset') or next(iter(dataset.get('datasets', ())), None)
        if inner is None:
            return []
        dataset = inner
    return list(dataset.pipeline)
