"""The tool that writes the zoo, on a checkout with the configs of the digits."""

import shutil

import pytest
import yaml

from paths import ROOT

TOOL = ROOT / 'tools/analysis_tools/update_zoo.py'


@pytest.fixture
def checkout(tmp_path):
    for method in ('dhm', 'dsl', 'plain'):
        folder = tmp_path / 'configs' / method
        folder.mkdir(parents=True)
        (config,) = (ROOT / 'configs' / method).glob('resnet20_*digits.py')
        shutil.copy(config, folder)
        shutil.copy(ROOT / 'configs' / method / 'README.md', folder)
    shutil.copytree(ROOT / 'configs/_base_', tmp_path / 'configs/_base_')
    return tmp_path


def test_writes_and_checks(checkout, python, inline):
    configs = checkout / 'configs'
    before = (configs / 'dhm/README.md').read_text()
    assert python(TOOL, checkout).count('written: ') == 7
    assert inline(TOOL, checkout, '--check').endswith('everything is current\n')
    for method in ('dhm', 'dsl', 'plain'):
        (model,) = yaml.safe_load((configs / method / 'metafile.yml').read_text())[
            'Models'
        ]
        everything = yaml.safe_load((ROOT / f'configs/{method}/metafile.yml').read_text())
        assert model in everything['Models']
    readme = (configs / 'dhm/README.md').read_text()
    assert readme.count('_dhm_1xb64_digits.py)') == 1
    assert '_in1k.py)' not in readme
    assert readme.split('<!--')[0] == before.split('<!--')[0]
    assert readme.split('-->')[-1] == before.split('-->')[-1]

    metafile = configs / 'dsl/metafile.yml'
    metafile.write_text(metafile.read_text().replace('Epochs: 25', 'Epochs: 26'))
    output = inline(TOOL, checkout, '--check', code=1)
    assert output.endswith(f'not current: {metafile}\n')
    assert output.count('not current') == 1
    assert 'Epochs: 26' in metafile.read_text()


def test_names_what_does_not_fit(checkout, inline):
    readme = checkout / 'configs/dsl/README.md'
    readme.write_text('no table\n')
    output = inline(TOOL, checkout, code=1)
    assert f'update_zoo.py: {readme}: has no place for the table' in output
    assert 'Traceback' not in output
    assert not (checkout / 'model-index.yml').exists()
