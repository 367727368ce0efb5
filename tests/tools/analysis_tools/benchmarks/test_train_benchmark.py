import pytest
from mmengine.config import Config

from benchmarks import train
from dhm_plugin.checkpoints.export.config import load_config
from paths import ROOT

pytestmark = pytest.mark.one_stack
IMAGENET = ROOT / 'configs/dhm/resnet18_dhm_8xb32_in1k.py'
DIGITS = ROOT / 'configs/dhm/resnet20_dhm_1xb64_digits.py'


@pytest.mark.parametrize(
    ('data', 'dataset', 'preprocessor'),
    [
        ('files', 'ImageNet', 'BatchPreprocessor'),
        ('packed', 'PackedImageNet', 'BatchPreprocessor'),
        ('dali', 'ImageNet', 'DaliPreprocessor'),
    ],
)
def test_reads_the_images_as_told(data, dataset, preprocessor, tmp_path):
    path = train._synthetic(load_config(IMAGENET), tmp_path, 1, 8, 1, data)
    cfg = Config.fromfile(path)
    repeated = cfg.train_dataloader.dataset
    assert (repeated.type, repeated.times) == ('RepeatDataset', 2)
    assert repeated.dataset.type == dataset
    assert cfg.data_preprocessor.type == preprocessor
    hook = train.BareLoopHook(
        **{k: v for k, v in cfg.custom_hooks[-1].items() if k != 'type'}
    )
    assert [len(images) for images, _ in hook.loader] == [1] * 8


def test_images_in_memory_are_not_packed(tmp_path):
    with pytest.raises(ValueError, match='--data packed: the images of this config are'):
        train._synthetic(load_config(DIGITS), tmp_path, 1, 8, 1, 'packed')


def test_steps_repeat_whole_batches(tmp_path):
    with pytest.raises(ValueError, match='--steps 6: an epoch repeats 4 batches'):
        train._synthetic(load_config(IMAGENET), tmp_path, 1, 6, 1, 'files')
