from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.dataset import RepeatDataset
from mmengine.logging import MMLogger
from mmpretrain.datasets import CustomDataset

from dhm_plugin import Digits, LabelCheckHook, MimickingLoss


def runner_of(dataset, num_classes, **head):
    model = SimpleNamespace(head=SimpleNamespace(num_classes=num_classes, **head))
    loader = SimpleNamespace(dataset=dataset)
    return SimpleNamespace(
        model=model,
        train_dataloader=loader,
        val_dataloader=loader,
        test_dataloader=loader,
        logger=MMLogger.get_current_instance(),
    )


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / 'list.txt').write_text('a.jpg 0\nb.jpg 9\nc.jpg 10\n')
    return CustomDataset(data_root=str(tmp_path), ann_file='list.txt')


@pytest.mark.parametrize('wrap', [lambda d: d, lambda d: RepeatDataset(d, 2)])
def test_names_image_label_and_classes(dataset, wrap):
    with pytest.raises(
        ValueError, match=r'c.jpg has the label 10, outside the 10 classes'
    ):
        LabelCheckHook().before_train(runner_of(wrap(dataset), 10))
    LabelCheckHook().before_train(runner_of(wrap(dataset), 11))


def test_validation_and_test_labels(dataset):
    runner = runner_of(dataset, 10)
    for check in ('before_val', 'before_test'):
        with pytest.raises(ValueError, match=f'{check[7:]}_dataloader: .*c.jpg'):
            getattr(LabelCheckHook(), check)(runner)


def test_validation_labels_are_read_once(dataset, monkeypatch):
    hook, runner = LabelCheckHook(), runner_of(dataset, 11)
    hook.before_val(runner)
    monkeypatch.setattr(dataset, 'get_data_info', None)
    hook.before_val(runner)


def test_negative_labels(tmp_path):
    (tmp_path / 'list.txt').write_text('a.jpg -1\n')
    dataset = CustomDataset(data_root=str(tmp_path), ann_file='list.txt')
    with pytest.raises(ValueError, match=r'a.jpg has the label -1'):
        LabelCheckHook().before_train(runner_of(dataset, 10))


def test_leaves_other_models_and_data_alone(dataset):
    LabelCheckHook().before_train(runner_of(dataset, None))
    LabelCheckHook().before_train(runner_of([1, 2, 3], 10))


class Listed(list):
    """A data set of given annotations."""

    def get_data_info(self, i):
        return dict(img_path=f'{i}.jpg', **self[i])


@pytest.mark.parametrize(
    ('annotation', 'found'),
    [
        (dict(gt_label=[1, 3]), r'2 labels, \[1, 3\]'),
        (dict(gt_label=[]), r'0 labels, \[\]'),
        (dict(gt_score=np.array([0, 1, 0, 1.0])), 'scores that sum to 2'),
        (dict(gt_score=[0.0] * 4), 'scores that sum to 0'),
        (dict(gt_score=[0.9, 0.0, 0.0, 0.08]), 'scores that sum to 0.98'),
    ],
)
def test_several_labels_with_a_mimicking_loss(annotation, found):
    dataset = Listed([dict(gt_label=1), dict(gt_label=[1]), annotation])
    runner = runner_of(dataset, 4, mimicking_loss=MimickingLoss())
    message = rf'train_dataloader: 2\.jpg has {found}, .*; give each image one label'
    with pytest.raises(ValueError, match=message):
        LabelCheckHook().before_train(runner)
    # As of ImageNet-ReaL.
    LabelCheckHook().before_val(runner)
    LabelCheckHook().before_train(runner_of(dataset, 4, mimicking_loss=None))
    LabelCheckHook().before_train(runner_of(dataset, 4))


def test_what_is_not_in_the_head():
    """A plain config's mimicking loss, and VGG's classifier."""
    runner = runner_of(Listed([dict(gt_label=[1, 2])]), 4)
    runner.model.mimicking_loss = MimickingLoss()
    with pytest.raises(ValueError, match='has 2 labels'):
        LabelCheckHook().before_train(runner)
    runner = runner_of(Listed([dict(gt_label=4)]), None)
    runner.model.backbone = SimpleNamespace(num_classes=4)
    with pytest.raises(ValueError, match='has the label 4, outside the 4 classes'):
        LabelCheckHook().before_train(runner)


def test_scores_of_one_label():
    dataset = Listed([dict(gt_score=np.float32([0.9, 0.1])), dict(gt_score=[0, 1])])
    LabelCheckHook().before_train(runner_of(dataset, 2, mimicking_loss=MimickingLoss()))


def test_stops_before_the_first_iteration(train, monkeypatch):
    def several(self):
        infos = load(self)
        infos[5]['gt_label'] = [0, 1]
        return infos

    load = Digits.load_data_list
    monkeypatch.setattr(Digits, 'load_data_list', several)
    dataset = dict(_delete_=True, type='Digits', split='train')
    with pytest.raises(ValueError, match=r'image 5 has 2 labels, \[0, 1\]'):
        train('several', **{'train_dataloader.dataset': dataset})
