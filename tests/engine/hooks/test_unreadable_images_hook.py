from types import SimpleNamespace

import pytest
from mmengine.dataset import Compose, ConcatDataset, RepeatDataset
from mmengine.logging import MMLogger
from mmpretrain.datasets import CustomDataset

from dhm_plugin import LoadReadableImage, UnreadableImagesHook
from process_group import run_in_two


class Visualizer:
    def __init__(self):
        self.scalars = []

    def add_scalar(self, name, value, step):
        self.scalars.append((name, value, step))


def runner_of(dataset):
    return SimpleNamespace(
        train_dataloader=SimpleNamespace(dataset=dataset),
        visualizer=Visualizer(),
        logger=MMLogger.get_current_instance(),
        epoch=0,
    )


def make_dataset(folder):
    (folder / 'list.txt').write_text('missing.jpg 0\n')
    return CustomDataset(
        data_root=str(folder), ann_file='list.txt', pipeline=[LoadReadableImage()]
    )


def skip(dataset, times):
    for _ in range(times):
        assert dataset.pipeline(dataset.get_data_info(0)) is None


@pytest.mark.parametrize('wrap', [lambda d: d, lambda d: RepeatDataset(d, 2)])
def test_counts_each_epoch(tmp_path, wrap):
    dataset = make_dataset(tmp_path)
    hook, runner = UnreadableImagesHook(), runner_of(wrap(dataset))
    for epoch, times in enumerate((2, 0, 3)):
        runner.epoch = epoch
        skip(dataset, times)
        hook.after_train_epoch(runner)
    assert runner.visualizer.scalars == [
        ('unreadable_images', 2, 1),
        ('unreadable_images', 3, 3),
    ]


def test_counts_over_concatenated_sets(tmp_path):
    datasets = [make_dataset(tmp_path), make_dataset(tmp_path)]
    hook, runner = UnreadableImagesHook(), runner_of(ConcatDataset(datasets))
    for dataset in datasets:
        skip(dataset, 2)
    hook.after_train_epoch(runner)
    assert runner.visualizer.scalars == [('unreadable_images', 4, 1)]


def test_counts_what_another_pipeline_skips(tmp_path):
    """MMPretrain's SwitchRecipeHook exchanges it."""
    dataset = make_dataset(tmp_path)
    hook, runner = UnreadableImagesHook(), runner_of(dataset)
    for times in (2, 1):
        skip(dataset, times)
        hook.after_train_epoch(runner)
        dataset.pipeline = Compose([LoadReadableImage()])
    assert [number for _, number, _ in runner.visualizer.scalars] == [2, 1]


def test_leaves_other_pipelines_alone():
    hook, runner = UnreadableImagesHook(), runner_of([1, 2, 3])
    hook.after_train_epoch(runner)
    assert runner.visualizer.scalars == []


def _process(rank, folder):
    dataset = make_dataset(folder / str(rank))
    hook, runner = UnreadableImagesHook(), runner_of(dataset)
    skip(dataset, 1 + rank)
    hook.after_train_epoch(runner)
    assert runner.visualizer.scalars == [('unreadable_images', 3, 1)]


def test_sums_over_processes(tmp_path):
    for rank in range(2):
        (tmp_path / str(rank)).mkdir()
    run_in_two(_process, tmp_path)
