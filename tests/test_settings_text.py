import pytest
from mmengine import Config

from dhm_plugin.settings_text import literal_settings
from paths import ROOT


def test_what_mmengine_writes_stays():
    cfg = Config.fromfile(ROOT / 'configs/dhm/resnet50_dhm_8xb32_in1k.py')
    kept = Config.fromstring(literal_settings(cfg.pretty_text), '.py').to_dict()
    expected = cfg.to_dict()
    del expected['custom_imports']
    assert kept == expected


@pytest.mark.parametrize(
    'text',
    [
        "x = __import__('os').system('true')",
        "__import__('os').system('true')",
        'import os',
        'x = [print() for _ in (1,)]',
        'x = dict(**print())',
        'x = dict(print())',
        'x = {**print()}',
        "x = f'{print()}'",
        'x = (lambda: 1)()',
        'x = -print()',
        'x = print',
        'x.y = 1',
        'x: print() = 1',
        'def f(): pass',
        'x = dict(',
        'x = \0',
        '-' * 100000 + '1',
        7,
        None,
    ],
)
def test_nothing_else_does(text):
    assert literal_settings(text) is None


def test_what_makes_mmengine_run_other_files_goes():
    text = "_base_ = 'evil.py'\ncustom_imports = dict(imports=['evil'])\nx = 1\n"
    assert literal_settings(text) == 'x = 1'
