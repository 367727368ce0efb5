"""The tools with a config whose images DALI decodes, as docs/imagenet.md makes it."""

import re
import shutil
import subprocess

import pytest

from paths import ROOT

SED = 's/imagenet_bs32/&_dali/'
OPTIONS = (
    'data_preprocessor.device=cpu',
    'model.backbone.base_channels=4',
    'model.backbone.stem_channels=4',
    'model.head.in_channels=32',
    'train_cfg.max_epochs=1',
)


@pytest.fixture
def config(tmp_path):
    """The plain ResNet-18 of ImageNet, with DALI's base."""
    pytest.importorskip('nvidia.dali', reason="pip install 'dhm_plugin[dali]'")
    shutil.copytree(ROOT / 'configs/_base_', tmp_path / '_base_')
    (tmp_path / 'plain').mkdir()
    name = 'resnet18_8xb32_in1k'
    command = ['sed', SED, ROOT / 'configs/plain' / f'{name}.py']
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    path = tmp_path / 'plain' / f'{name}_dali.py'
    path.write_text(text)
    return path


def test_trains_and_tests(config, inline, imagenet, small, tmp_path):
    work = tmp_path / 'work'
    trained = inline(
        *(ROOT / 'tools/train.py', config, '--work-dir', work),
        *small(imagenet, *OPTIONS),
    )
    assert 'DecodeAheadHook' in trained
    assert 'Epoch(train) [1][3/3]' in trained
    assert 'Epoch 1: skipped 1 unreadable images' in trained  # it ends too early
    accuracy = re.search(r'accuracy/top1: [\d.]+\s+accuracy/top5: [\d.]+', trained)
    tested = inline(
        *(ROOT / 'tools/test.py', config, work / 'epoch_1.pth'),
        *('--work-dir', tmp_path / 'test', *small(imagenet, *OPTIONS)),
    )
    assert accuracy.group(0) in tested


def test_an_image_that_dali_cannot_decode_ends_with_one_line(
    config, inline, imagenet, small, tmp_path
):
    shutil.copytree(imagenet, tmp_path / 'imagenet')
    for path in (tmp_path / 'imagenet/train').glob('*/*.jpg'):
        content = bytearray(path.read_bytes())
        table = content.find(b'\xff\xc4')
        content[table + 5 : table + 21] = b'\xff' * 16
        path.write_bytes(content)
    output = inline(
        *(ROOT / 'tools/train.py', config, '--work-dir', tmp_path / 'work'),
        *small(tmp_path / 'imagenet', *OPTIONS),
        code=1,
    )
    assert 'Traceback' not in output
    last = output.strip().splitlines()[-1]
    assert re.search(r'\.jpg cannot be read: ValueError: DALI cannot decode it; ', last)
