"""The shape of the images that a config is made for."""

from mmengine import Config


def image_shape(cfg: Config) -> tuple[int, int, int]:
    """Tell the shape of the images that a config trains on.

    Args:
        cfg (Config): The config.

    Returns:
        tuple[int, int, int]: Channels, height, width.

    Raises:
        ValueError: If no step of the training pipeline crops to a size.
    """
    for step in cfg.train_dataloader.dataset.pipeline:
        size = step.get('crop_size') or step.get('scale')
        if 'Crop' in step.type and isinstance(size, int):
            return len(cfg.data_preprocessor.mean), size, size
    raise ValueError(
        f'{cfg.filename}: the image size is unknown; a step of the training pipeline '
        'must crop to one, such as RandomCrop or RandomResizedCrop'
    )
