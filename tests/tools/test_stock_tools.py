"""MMPretrain's own tools that need our help, as the docs say to call them."""

import hashlib
from pathlib import Path

import cv2
import mmpretrain
import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from dhm_plugin import Digits
from paths import ROOT

STOCK = Path(mmpretrain.__file__).parent / '.mim/tools'
DHM = ROOT / 'configs/dhm/resnet20_dhm_1xb64_digits.py'


def test_browse_dataset(python, tmp_path):
    python(
        *(STOCK / 'visualization/browse_dataset.py', DHM, '--mode', 'original'),
        *('--not-show', '--channel-order', 'RGB', '--rescale-factor', '16'),
        *('--output-dir', tmp_path, '--show-number', '3'),
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [f'{i}.jpg' for i in '012']
    # Away from the label that is written into its corner, it is the digit.
    shown = cv2.imread(str(tmp_path / '0.jpg'), cv2.IMREAD_GRAYSCALE)
    digit = Digits(split='train').get_data_info(0)['img']
    small = cv2.resize(shown, (8, 8), interpolation=cv2.INTER_AREA)
    right = np.corrcoef(small[3:].ravel(), digit[3:].ravel())[0, 1]
    mirrored = np.corrcoef(small[3:].ravel(), digit[3:, ::-1].ravel())[0, 1]
    assert right > 0.9 > mirrored


def test_publish_model_of_a_stripped_checkpoint(build, inline, python, tmp_path):
    model = build(DHM)
    trained, stripped = tmp_path / 'epoch_1.pth', tmp_path / 'stripped.pth'
    content = dict(
        meta=dict(epoch=1, iter=23, dataset_meta=dict(classes=('0', '1'))),
        state_dict=model.state_dict(),
        message_hub=dict(log_scalars=dict(loss=HistoryBuffer([1.0], [1]))),
        optimizer=dict(state={}, param_groups=[]),
    )
    torch.save(content, trained)
    inline(ROOT / 'tools/model_converters/strip_side_branches.py', trained, stripped)
    publish = STOCK / 'model_converters/publish_model.py'
    output = python(publish, stripped, tmp_path / 'resnet20.pth')
    (path,) = tmp_path.glob('resnet20_*.pth')
    assert f'Successfully generated the publish-ckpt as {path}.' in output
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stem.endswith(f'-{sha[:8]}')
    published = torch.load(path, weights_only=True)
    assert set(published) == {'meta', 'state_dict'}
    assert published['meta']['dataset_meta'] == dict(classes=('0', '1'))
    plain = build('plain/resnet20_1xb64_digits.py')
    plain.load_state_dict(published['state_dict'])
    weight = model.backbone.conv1.weight
    assert torch.equal(plain.backbone.conv1.weight, weight)
