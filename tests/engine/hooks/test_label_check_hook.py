from types import SimpleNamespace

import pytest
from mmengine.dataset import RepeatDataset
from mmengine.logging import MMLogger
from mmpretrain.datasets import CustomDataset

from dhm_plugin import LabelCheckHook


def runner_of(dataset, num_classes):
    model = SimpleNamespace(head=SimpleNamespace(num_classes=num_classes))
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
