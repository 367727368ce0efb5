"""Checks the labels before the training starts."""

import numpy as np
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS


@HOOKS.register_module()
class LabelCheckHook(Hook):
    """Stop before the first iteration if a label is outside the head's classes.

    On a GPU such a label would end the training with an assertion of a CUDA kernel that
    names neither label nor image.

    Raises:
        ValueError: If a label of the training data is outside the classes; it names the
            first such image.
    """

    def before_train(self, runner: Runner) -> None:
        """Look at every label of the training data."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        num_classes = getattr(getattr(model, 'head', None), 'num_classes', None)
        dataset = runner.train_dataloader.dataset
        if num_classes is None or not hasattr(dataset, 'get_data_info'):
            return
        for i in range(len(dataset)):
            info = dataset.get_data_info(i)
            labels = np.atleast_1d(info.get('gt_label', 0))
            if labels.min() < 0 or labels.max() >= num_classes:
                raise ValueError(
                    f'train_dataloader: {info.get("img_path", f"image {i}")} has the '
                    f'label {info["gt_label"]}, outside the {num_classes} classes (0 '
                    f'to {num_classes - 1}) of the head; correct the annotation, or '
                    "the head's num_classes"
                )
