"""From the archives to a tested checkpoint: by the folder, by packed images, by DALI."""

import re

import pytest
import torch

from paths import ROOT
from small_imagenet import Tars

PREPARE = ROOT / 'tools/dataset_converters/prepare_imagenet.py'
TRAIN, TEST = ROOT / 'tools/train.py', ROOT / 'tools/test.py'
# The paper's network, as narrow as it can be.
OPTIONS = (
    'model.backbone.base_channels=4',
    'model.backbone.stem_channels=4',
    'model.head.in_channels=32',
    'train_cfg.max_epochs=1',
)


@pytest.fixture
def config_with(tmp_path):
    """The plain ResNet-18 of ImageNet, with another base for its data."""

    def write(data):
        if data == 'imagenet_bs32_dali':
            pytest.importorskip('nvidia.dali', reason="pip install 'dhm_plugin[dali]'")
        text = (ROOT / 'configs/plain/resnet18_8xb32_in1k.py').read_text()
        assert '/imagenet_bs32.py' in text
        text = text.replace('/imagenet_bs32.py', f'/{data}.py')
        path = tmp_path / 'config.py'
        path.write_text(text.replace('../_base_', str(ROOT / 'configs/_base_')))
        return path

    return write


@pytest.mark.parametrize(
    ('data', 'pack'),
    [
        ('imagenet_bs32', ()),
        ('imagenet_bs32_packed', ('--pack',)),
        ('imagenet_bs32_packed', ('--pack', '--raw')),
        ('imagenet_bs32_dali', ()),
    ],
    ids=['files', 'packed', 'raw', 'dali'],
)
def test_from_the_archives_to_a_tested_checkpoint(
    data, pack, config_with, inline, small, tmp_path, monkeypatch
):
    config, out = config_with(data), tmp_path / 'out'
    tars = Tars(tmp_path / 'tars', monkeypatch)
    text = inline(PREPARE, tars.folder, out, *pack)
    more = ['data_preprocessor.device=cpu'] * data.endswith('dali')
    options = small(out / 'packed' if pack else out, *OPTIONS, *more)
    work = tmp_path / 'work'
    trained = inline(TRAIN, config, '--work-dir', work, *options)
    assert 'Epoch(train) [1][5/5]' in trained
    accuracy = re.search(r'accuracy/top1: [\d.]+\s+accuracy/top5: [\d.]+', trained)
    tested = inline(
        *(TEST, config, work / 'epoch_1.pth', '--work-dir', tmp_path / 'test', *options)
    )
    assert accuracy.group(0) in tested
    assert ('DecodeAheadHook' in trained) == data.endswith('dali')
    if pack:
        printed = r'20 images of train in 1 shards, fingerprint (.*)'
        fingerprint = re.search(printed, text)[1]
        line = f'20 images in 1 shards of {out}/packed/train: edge 400, quality '
        line += 'raw' if '--raw' in pack else '90'
        assert line in trained
        assert f'fingerprint {fingerprint}' in trained
        meta = torch.load(work / 'epoch_1.pth', weights_only=False)['meta']
        assert meta['dataset_meta']['packed']['fingerprint'] == fingerprint


def test_an_image_that_dali_cannot_decode_ends_with_one_line(
    config_with, inline, small, tmp_path, monkeypatch
):
    config, out = config_with('imagenet_bs32_dali'), tmp_path / 'out'
    inline(PREPARE, Tars(tmp_path / 'tars', monkeypatch).folder, out)
    for path in (out / 'train').glob('*/*.JPEG'):
        content = bytearray(path.read_bytes())
        table = content.find(b'\xff\xc4')
        content[table + 5 : table + 21] = b'\xff' * 16
        path.write_bytes(content)
    options = small(out, *OPTIONS, 'data_preprocessor.device=cpu')
    output = inline(TRAIN, config, '--work-dir', tmp_path / 'work', *options, code=1)
    assert 'Traceback' not in output
    line = r'ERROR - .*\.JPEG cannot be read: RuntimeError: .*; mend it, or take it out'
    assert re.search(line, output)
