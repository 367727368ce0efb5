import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from mmengine import Config
from mmpretrain.registry import DATASETS

from paths import ROOT

PREPARE = ROOT / 'tools/dataset_converters/prepare_characters.py'
FONTS = Path(matplotlib.get_data_path()) / 'fonts/ttf'
# One has no letters, two are the same font.
NAMES = (
    'DejaVuSans.ttf',
    'DejaVuSans-Bold.ttf',
    'DejaVuSansMono.ttf',
    'DejaVuSerif.ttf',
    'STIXGeneral.ttf',
    'STIXGeneralBol.ttf',
    'STIXSizOneSymReg.ttf',
    'DejaVuSans.ttf',
)


@pytest.fixture
def fonts(tmp_path):
    """A family of each font."""
    for number, name in enumerate(NAMES):
        folder = tmp_path / f'fonts/family{number}'
        folder.mkdir(parents=True)
        # Some have their suffix in capitals.
        shutil.copy(FONTS / name, folder / name.replace('Mono.ttf', 'Mono.TTF'))
    (tmp_path / 'fonts/family0/broken.otf').write_bytes(b'no font')
    return tmp_path / 'fonts'


def test_a_config_reads_what_it_writes(inline, fonts, tmp_path):
    out = tmp_path / 'out'
    text = inline(PREPARE, fonts, '--out', out)
    families = [line.split(': ')[-1].split(', ') for line in text.splitlines()]
    # Whichever of the two same ones is taken, and never the one without letters.
    found = sorted(name for names in families for name in names)
    first = {*found} & {'family0', 'family7'}
    assert found == sorted([*first, *(f'family{i}' for i in range(1, 6))])
    assert len(first) == 1
    assert [len(names) for names in families] == [4, 1, 1]
    cfg = Config.fromfile(ROOT / 'configs/studies/map/resnet8_1xb64_characters.py')
    found = []
    for config, indices in (
        (cfg.train_dataloader.dataset.dataset, 4 * 94),
        (cfg.val_dataloader.dataset, -94),
        (cfg.test_dataloader.dataset, None),
    ):
        config.update(data_root=str(out), indices=indices)
        found.append(DATASETS.build(config))
    assert [len(dataset) for dataset in found] == [4 * 94, 94, 94]
    for dataset in found:
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        assert [int(info['gt_label']) for info in infos[:94]] == [*range(94)]
        images = np.stack([info['img'] for info in infos[:94]])
        assert images.shape == (94, 32, 32)
        assert len({image.tobytes() for image in images}) == 94
        # The margin is free; a full stop is small and low.
        assert not images[:, 0].any()
        assert not images[:, :, 0].any()
        stop = images[ord('.') - 33]
        assert stop.any()
        assert not stop[:16].any()


def test_refuses_too_few(inline, fonts, tmp_path):
    shutil.rmtree(fonts / 'family1')
    text = inline(PREPARE, fonts, '--out', tmp_path / 'out', code=1)
    assert f'{fonts}: has usable fonts of 5 families, of 8 fonts; there must be 6' in text
    assert not (tmp_path / 'out').exists()


def test_a_file_in_the_place_of_the_folder(inline, fonts, tmp_path):
    (tmp_path / 'file').touch()
    text = inline(PREPARE, fonts, '--out', tmp_path / 'file', code=1)
    assert f'prepare_characters.py: {tmp_path}/file/train-images' in text
    assert ': cannot be written: ' in text
