"""From the archives to a tested checkpoint, by the packed images."""

import re

import torch

from paths import ROOT
from small_imagenet import Tars

CONFIG = ROOT / 'configs/dhm/resnet18_dhm_8xb32_in1k.py'
PREPARE = ROOT / 'tools/dataset_converters/prepare_imagenet.py'


def test_from_the_archives_to_a_tested_checkpoint(
    inline, python, small, tmp_path, monkeypatch
):
    tars, out = Tars(tmp_path / 'tars', monkeypatch), tmp_path / 'out'
    text = inline(PREPARE, tars.folder, out, '--pack')
    fingerprint = re.search(r'20 images of train in 1 shards, fingerprint (.*)', text)[1]
    # The base in place of the stock one, as the docs say.
    text = CONFIG.read_text().replace('imagenet_bs32.py', 'imagenet_bs32_packed.py')
    config = tmp_path / 'packed.py'
    config.write_text(text.replace('../_base_', str(ROOT / 'configs/_base_')))
    options = small(out / 'packed', 'train_cfg.max_epochs=1')
    work = tmp_path / 'work'
    train = (ROOT / 'tools/train.py', config, '--work-dir', work, *options)
    output = python(*train)
    assert f'20 images in 1 shards of {out}/packed/train: edge 400, quality 90' in output
    assert f'fingerprint {fingerprint}' in output
    assert 'Epoch(train) [1][5/5]' in output
    assert 'Epoch(val) [1][2/2]    accuracy/top1: ' in output
    checkpoint = torch.load(work / 'epoch_1.pth', weights_only=False)
    meta = checkpoint['meta']['dataset_meta']
    assert meta['packed']['fingerprint'] == fingerprint
    test = (ROOT / 'tools/test.py', config, work / 'epoch_1.pth', '--work-dir', work)
    assert 'accuracy/top1: ' in python(*test, *options)
