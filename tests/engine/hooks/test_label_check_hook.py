from types import SimpleNamespace

import pytest
from mmengine.dataset import RepeatDataset
from mmpretrain.datasets import CustomDataset

from dhm_plugin import LabelCheckHook


def runner_of(dataset, num_classes):
    model = SimpleNamespace(head=SimpleNamespace(num_classes=num_classes))
    return SimpleNamespace(model=model, train_dataloader=SimpleNamespace(dataset=dataset))


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


def test_negative_labels(tmp_path):
    (tmp_path / 'list.txt').write_text('a.jpg -1\n')
    dataset = CustomDataset(data_root=str(tmp_path), ann_file='list.txt')
    with pytest.raises(ValueError, match=r'a.jpg has the label -1'):
        LabelCheckHook().before_train(runner_of(dataset, 10))


def test_leaves_other_models_and_data_alone(dataset):
    LabelCheckHook().before_train(runner_of(dataset, None))
    LabelCheckHook().before_train(runner_of([1, 2, 3], 10))
