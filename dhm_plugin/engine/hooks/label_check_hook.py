"""Checks the labels before they are used."""

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ...checked_arguments import checked_arguments
from ..utils import network_of


@HOOKS.register_module()
@checked_arguments
class LabelCheckHook(Hook):
    """Stop before the first iteration if a label does not fit the head.

    In training on a GPU a label outside the classes would end in an assertion of a CUDA
    kernel that names neither label nor image; in validation and testing it would count as
    a wrong prediction, unseen. Images with several labels would train silently with a
    mimicking loss, which compares probabilities of classes that exclude one another.

    Raises:
        ValueError: If a label is outside the classes, or a training image has several
            labels where branches mimic one another; it names the first such image.
    """

    _val_checked = False

    def before_train(self, runner: Runner) -> None:
        """Look at every label of the training data."""
        self._check(runner, 'train')

    def before_val(self, runner: Runner) -> None:
        """Look at every label of the validation data, the first time."""
        if not self._val_checked:
            self._check(runner, 'val')
        self._val_checked = True

    def before_test(self, runner: Runner) -> None:
        """Look at every label of the test data."""
        self._check(runner, 'test')

    def _check(self, runner: Runner, mode: str) -> None:
        network = network_of(runner)
        head = getattr(network, 'head', None)
        # A plain config's mimicking loss is the network's; VGG's classifier is in the
        # backbone.
        mimics = any(_has(part, 'mimicking_loss') for part in (network, head))
        counts = (
            part.num_classes
            for part in (head, getattr(network, 'backbone', None))
            if _has(part, 'num_classes')
        )
        num_classes = next(counts, None)
        dataset = getattr(runner, f'{mode}_dataloader').dataset
        if num_classes is None or not hasattr(dataset, 'get_data_info'):
            runner.logger.info(f'{mode}_dataloader: the labels cannot be checked')
            return
        for i in range(len(dataset)):
            info = dataset.get_data_info(i)
            image = f'{mode}_dataloader: {info.get("img_path", f"image {i}")}'
            if mode == 'train' and mimics:
                _check_single_label(image, info)
            labels = np.atleast_1d(info.get('gt_label', 0))
            if ((labels < 0) | (labels >= num_classes)).any():
                raise ValueError(
                    f'{image} has the label {info["gt_label"]}, outside the '
                    f'{num_classes} classes (0 to {num_classes - 1}) of the head; '
                    "correct the annotation, or the head's num_classes"
                )


def _has(part: object, name: str) -> bool:
    return getattr(part, name, None) is not None


def _check_single_label(image: str, info: dict) -> None:
    """Refuse several labels, and scores that are no probabilities."""
    labels, scores = info.get('gt_label', 0), info.get('gt_score')
    if scores is not None and abs(np.sum(scores) - 1) > 1e-3:
        found = f'scores that sum to {np.sum(scores):g}'
    elif scores is None and np.size(labels) != 1:
        found = f'{np.size(labels)} labels, {list(labels)}'
    else:
        return
    raise ValueError(
        f'{image} has {found}, but branches that mimic one another compare '
        'probabilities of classes that exclude one another; give each image one label, '
        'or scores that sum to 1, or train without mimicking_loss'
    )
